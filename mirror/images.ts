// Image archives of one Kubernetes version from ready layers, in the OCI's layout, which `ctr images import` and
// `docker load` read. What goes in decides every byte that comes out.
// usage: images.ts BUILD_DIR OUT ARCHITECTURE KUBERNETES_VERSION
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, linkSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import versions from "../versions.json" with { type: "json" };

interface Image {
    readonly name: string;
    /** Each is a folder "layer-NAME" of the build's parts. */
    readonly layers: readonly string[];
    /** In the words of the OCI's image configuration. */
    readonly config: object;
}

interface Descriptor {
    readonly mediaType: string;
    readonly digest: string;
    readonly size: number;
}

const created = new Date(Number(process.env.SOURCE_DATE_EPOCH) * 1000).toISOString();
const path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const [buildDir = "", out = "", architecture = "", version = ""] = process.argv.slice(2);
const releases: Readonly<Record<string, { etcd: string; coredns: string; pause: string }>> =
    versions.kubernetes.releases;
const release = releases[version.split(".").slice(0, 2).join(".")];
if (release === undefined) {
    throw new Error(`Kubernetes "${version}" has no row in versions.json`);
}
/** Layer of a program that comes with Kubernetes: that of a further version carries it in its name. */
const own = (layer: string) => (version === versions.kubernetes.version ? layer : `${layer}-${version}`);
/** How pods name an image whose bytes are made here: its digest in a registry is that of others. */
const tagged = (image: string) => image.replace(/@.*/, "");

const pause = {
    name: `registry.k8s.io/pause:${release.pause}`,
    layers: ["pause"],
    config: { Entrypoint: ["/pause"], User: "65535:65535" },
};
const kubeProxy = {
    name: `registry.k8s.io/kube-proxy:v${version}`,
    layers: ["base", "network", own("kube-proxy")],
    config: { Entrypoint: ["/usr/local/bin/kube-proxy"] },
};
const flannel = {
    name: tagged(versions.flannel.image),
    layers: ["base", "network", "flannel"],
    config: { Entrypoint: ["/opt/bin/flanneld"] },
};
const flannelPlugin = {
    name: tagged(versions.flannel.cniPluginImage),
    layers: ["base", "flannel-cni-plugin"],
    config: {},
};
const kubeRouter = {
    name: tagged(versions.kubeRouter.image),
    layers: ["base", "network", "kube-router"],
    config: { Entrypoint: ["/usr/local/bin/kube-router"] },
};
const nginx = {
    name: tagged(versions.nginx.image),
    layers: ["base", "nginx"],
    config: {
        Entrypoint: ["nginx"],
        Cmd: ["-g", "daemon off;"],
        ExposedPorts: { "80/tcp": {} },
        StopSignal: "SIGQUIT",
    },
};
const controlPlane = ["kube-apiserver", "kube-controller-manager", "kube-scheduler"].map((program) => ({
    name: `registry.k8s.io/${program}:v${version}`,
    layers: [own(program)],
    config: { Entrypoint: [`/usr/local/bin/${program}`] },
}));
const etcd = { name: `registry.k8s.io/etcd:${release.etcd}`, layers: [own("etcd")], config: {} };
const coredns = {
    name: `registry.k8s.io/coredns/coredns:v${release.coredns}`,
    layers: [own("coredns")],
    config: { Entrypoint: ["/coredns"], ExposedPorts: { "53/tcp": {}, "53/udp": {} }, WorkingDir: "/" },
};

const archives: Record<string, readonly Image[]> = {
    "control-plane": [...controlPlane, etcd, coredns, pause, kubeProxy, flannel, flannelPlugin, kubeRouter],
    worker: [pause, kubeProxy, flannel, flannelPlugin, kubeRouter, nginx],
};

/** Writes a JSON document into the layout's blobs and returns its descriptor. */
function putDocument(stage: string, mediaType: string, document: object): Descriptor {
    const text = JSON.stringify(document);
    const digest = createHash("sha256").update(text).digest("hex");
    writeFileSync(`${stage}/blobs/sha256/${digest}`, text);
    return { mediaType, digest: `sha256:${digest}`, size: Buffer.byteLength(text) };
}

/** Puts a layer into the blobs unless another image has done so. */
function putLayer(stage: string, part: string): Descriptor {
    const digest = readFileSync(`${part}/digest`, "utf8").trim();
    const blob = `${stage}/blobs/sha256/${digest}`;
    if (!existsSync(blob)) {
        linkSync(`${part}/layer.tar.zst`, blob);
    }
    const mediaType = "application/vnd.oci.image.layer.v1.tar+zstd";
    return { mediaType, digest: `sha256:${digest}`, size: statSync(blob).size };
}

/** Writes an image into the layout, and returns its entry in the layout's index. */
function putImage(image: Image, stage: string): object {
    const parts = image.layers.map((layer) => `${buildDir}/parts/layer-${layer}`);
    const config = putDocument(stage, "application/vnd.oci.image.config.v1+json", {
        created,
        architecture,
        os: "linux",
        config: { Env: [path], ...image.config },
        rootfs: {
            type: "layers",
            diff_ids: parts.map((part) => `sha256:${readFileSync(`${part}/diff-id`, "utf8").trim()}`),
        },
        history: image.layers.map((layer) => ({ created, created_by: `layer ${layer}` })),
    });
    const mediaType = "application/vnd.oci.image.manifest.v1+json";
    const layers = parts.map((part) => putLayer(stage, part));
    const manifest = putDocument(stage, mediaType, { schemaVersion: 2, mediaType, config, layers });
    const annotations = {
        "io.containerd.image.name": image.name,
        "org.opencontainers.image.ref.name": image.name.split(":").at(-1),
    };
    return { ...manifest, platform: { architecture, os: "linux" }, annotations };
}

function pack(stage: string, archive: string): void {
    const reproducible = [
        "--sort=name",
        "--format=gnu",
        "--owner=0",
        "--group=0",
        "--numeric-owner",
        "--mode=u=rwX,go=rX",
    ];
    const args = ["--create", "--file", archive, "--directory", stage, ...reproducible, `--mtime=${created}`];
    const result = spawnSync("tar", [...args, "oci-layout", "index.json", "blobs"], {
        stdio: ["ignore", "ignore", "inherit"],
    });
    if (result.status !== 0) {
        throw new Error(`tar cannot write ${archive}`);
    }
}

for (const [name, images] of Object.entries(archives)) {
    const stage = `${out}/${name}.stage`;
    mkdirSync(`${stage}/blobs/sha256`, { recursive: true });
    const manifests = images.map((image) => putImage(image, stage));
    writeFileSync(`${stage}/oci-layout`, JSON.stringify({ imageLayoutVersion: "1.0.0" }));
    const mediaType = "application/vnd.oci.image.index.v1+json";
    writeFileSync(`${stage}/index.json`, JSON.stringify({ schemaVersion: 2, mediaType, manifests }));
    pack(stage, `${out}/${name}-${version}.tar`);
    rmSync(stage, { recursive: true });
}
