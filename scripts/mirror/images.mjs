// Image archives in the format of `docker save` from ready layers. What goes in decides every byte that comes out.
// usage: images.mjs BUILD_DIR OUT ARCHITECTURE
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { createReadStream, linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const versions = JSON.parse(readFileSync(fileURLToPath(new URL("../../versions.json", import.meta.url)), "utf8"));
const created = new Date(Number(process.env.SOURCE_DATE_EPOCH) * 1000).toISOString();
const path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const kubernetes = `v${versions.kubernetes.version}`;

const pause = {
    name: `registry.k8s.io/pause:${versions.kubernetes.pause}`,
    layers: ["pause"],
    config: { Entrypoint: ["/pause"], User: "65535:65535" },
};
const kubeProxy = {
    name: `registry.k8s.io/kube-proxy:${kubernetes}`,
    layers: ["base", "network", "kube-proxy"],
    config: { Entrypoint: ["/usr/local/bin/kube-proxy"] },
};
const flannel = {
    name: versions.flannel.image,
    layers: ["base", "network", "flannel"],
    config: { Entrypoint: ["/opt/bin/flanneld"] },
};
const flannelPlugin = { name: versions.flannel.cniPluginImage, layers: ["base", "flannel-cni-plugin"], config: {} };
const nginx = {
    name: versions.nginx.image,
    layers: ["base", "nginx"],
    config: {
        Entrypoint: ["nginx"],
        Cmd: ["-g", "daemon off;"],
        ExposedPorts: { "80/tcp": {} },
        StopSignal: "SIGQUIT",
    },
};
const controlPlane = ["kube-apiserver", "kube-controller-manager", "kube-scheduler"].map((program) => ({
    name: `registry.k8s.io/${program}:${kubernetes}`,
    layers: [program],
    config: { Entrypoint: [`/usr/local/bin/${program}`] },
}));
const etcd = { name: `registry.k8s.io/etcd:${versions.kubernetes.etcdImage}`, layers: ["etcd"], config: {} };
const coredns = {
    name: `registry.k8s.io/coredns/coredns:v${versions.kubernetes.coredns}`,
    layers: ["coredns"],
    config: { Entrypoint: ["/coredns"], ExposedPorts: { "53/tcp": {}, "53/udp": {} }, WorkingDir: "/" },
};

const archives = {
    "control-plane": [...controlPlane, etcd, coredns, pause, kubeProxy, flannel, flannelPlugin],
    worker: [pause, kubeProxy, flannel, flannelPlugin, nginx],
};

const digests = new Map();

async function digestOf(file) {
    if (!digests.has(file)) {
        const hash = createHash("sha256");
        for await (const chunk of createReadStream(file)) {
            hash.update(chunk);
        }
        digests.set(file, hash.digest("hex"));
    }
    return digests.get(file);
}

/** Puts an image's configuration and layers into the directory `stage`; a layer that is there already is shared. */
async function stageImage(image, { buildDir, stage, architecture, staged }) {
    const diffs = [];
    for (const layer of image.layers) {
        const file = `${buildDir}/parts/layer-${layer}/layer.tar`;
        const digest = await digestOf(file);
        if (!staged.has(digest)) {
            staged.add(digest);
            linkSync(file, `${stage}/${digest}.tar`);
        }
        diffs.push(digest);
    }
    const config = JSON.stringify({
        created,
        architecture,
        os: "linux",
        config: { Env: [path], ...image.config },
        rootfs: { type: "layers", diff_ids: diffs.map((digest) => `sha256:${digest}`) },
        history: image.layers.map((layer) => ({ created, created_by: `layer ${layer}` })),
    });
    const id = createHash("sha256").update(config).digest("hex");
    writeFileSync(`${stage}/${id}.json`, config);
    return { Config: `${id}.json`, RepoTags: [image.name], Layers: diffs.map((digest) => `${digest}.tar`) };
}

function pack(stage, archive) {
    const reproducible = ["--sort=name", "--format=gnu", "--owner=0", "--group=0", "--numeric-owner", "--mode=0644"];
    const args = ["--create", "--file", archive, "--directory", stage, ...reproducible, `--mtime=${created}`];
    // The wildcard would hold the directory itself, which some readers take for an entry.
    const listed = spawnSync("sh", ["-c", 'cd "$1" && ls', "sh", stage], { encoding: "utf8" }).stdout.trim().split("\n");
    const result = spawnSync("tar", [...args, ...listed], { stdio: ["ignore", "ignore", "inherit"] });
    if (result.status !== 0) {
        throw new Error(`tar cannot write ${archive}`);
    }
}

const [buildDir, out, architecture] = process.argv.slice(2);
for (const [name, images] of Object.entries(archives)) {
    const stage = `${out}/${name}.stage`;
    mkdirSync(stage);
    const staged = new Set();
    const manifest = [];
    for (const image of images) {
        manifest.push(await stageImage(image, { buildDir, stage, architecture, staged }));
    }
    writeFileSync(`${stage}/manifest.json`, JSON.stringify(manifest));
    pack(stage, `${out}/${name}.tar`);
    rmSync(stage, { recursive: true });
}
const names = (name) => archives[name].map((image) => image.name);
writeFileSync(`${out}/images.json`, JSON.stringify({ controlPlane: names("control-plane"), worker: names("worker") }));
