// Image archives of several Kubernetes versions in one mirror, from layers that stand in for the built ones.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { imageReference, kubernetesRelease, versions } from "../../components/versions";
import { root } from "./mirrorCommand";

const sha256 = (content: string | Buffer) => createHash("sha256").update(content).digest("hex");

describe("mirror: images", () => {
    const pinned = versions.kubernetes.version;
    const further = "1.37.2";
    let scratch: string;
    const at = (...parts: string[]) => path.join(scratch, ...parts);

    /** Calls a function of the mirror's scripts in a build directory of its own. */
    function call(script: string, extra: string): string {
        const files = ["lib", "go", "packages", "layers", "repository", "preflight", "build"];
        const load = files.map((name) => `source mirror/${name}.sh`).join("; ");
        const { status, stdout, stderr } = spawnSync("bash", ["-c", `set -euo pipefail; ${load}; ${script}`], {
            cwd: root,
            encoding: "utf8",
            env: { ...process.env, MIRROR_BUILD_DIR: scratch, MIRROR_EXTRA: extra },
        });
        assert.equal(status, 0, stderr);
        return stdout;
    }

    const recipe = (version: string) => (version === pinned ? "kubernetes" : `kubernetes-${version}`);
    /** Makes the archives of a version in a mirror with these further recipes; resolves with the digests of both. */
    function archives(version: string, extra: string): Record<string, string> {
        const out = at(`out-${version}-${extra}`);
        fs.mkdirSync(out, { recursive: true });
        call(`make_archives ${out} archives-${recipe(version)}`, extra);
        assert.deepEqual(fs.readdirSync(out).sort(), [`control-plane-${version}.tar`, `worker-${version}.tar`]);
        return Object.fromEntries(
            fs.readdirSync(out).map((name) => [name, sha256(fs.readFileSync(path.join(out, name)))]),
        );
    }

    /** Name of each image in an archive, and the layers that it stands on. */
    function images(version: string, role: string): Record<string, readonly string[]> {
        const archive = at(`out-${version}-${recipe(further)}`, `${role}-${version}.tar`);
        const json = (name: string) =>
            JSON.parse(spawnSync("tar", ["-xOf", archive, name], { encoding: "utf8" }).stdout);
        const blob = (digest: string) => json(`blobs/sha256/${digest.replace("sha256:", "")}`);
        interface Manifest {
            readonly digest: string;
            readonly annotations: Record<string, string>;
        }
        return Object.fromEntries(
            (json("index.json").manifests as Manifest[]).map(({ digest, annotations }) => {
                const history = blob(blob(digest).config.digest).history as { created_by: string }[];
                return [annotations["io.containerd.image.name"], history.map(({ created_by }) => created_by.slice(6))];
            }),
        );
    }

    before(() => {
        scratch = fs.mkdtempSync(path.join(os.tmpdir(), "mirror-images-"));
        const layers = call("programs_of_images", recipe(further)).trim().split("\n");
        for (const layer of ["base", "network", "nginx", ...layers.map((line) => line.split(" ")[0] ?? "")]) {
            fs.mkdirSync(at("parts", `layer-${layer}`), { recursive: true });
            const put = (name: string, text: string) => fs.writeFileSync(at("parts", `layer-${layer}`, name), text);
            put("layer.tar.zst", layer);
            put("digest", `${sha256(layer)}\n`);
            put("diff-id", `${sha256(`inside ${layer}`)}\n`);
            put(".key", layer);
        }
    });
    after(() => fs.rmSync(scratch, { recursive: true, force: true }));

    it("of a further Kubernetes version are what its kubeadm asks for, from its own programs", () => {
        archives(further, recipe(further));
        const { etcd, coredns, pause } = kubernetesRelease(further);
        assert.equal(etcd, "3.7.0-0");
        const common = {
            [`registry.k8s.io/pause:${pause}`]: ["pause"],
            [`registry.k8s.io/kube-proxy:v${further}`]: ["base", "network", `kube-proxy-${further}`],
            [imageReference(versions.flannel.image, "mirror")]: ["base", "network", "flannel"],
            [imageReference(versions.flannel.cniPluginImage, "mirror")]: ["base", "flannel-cni-plugin"],
            [imageReference(versions.kubeRouter.image, "mirror")]: ["base", "network", "kube-router"],
        };
        assert.deepEqual(images(further, "worker"), {
            ...common,
            [imageReference(versions.nginx.image, "mirror")]: ["base", "nginx"],
        });
        assert.deepEqual(images(further, "control-plane"), {
            ...Object.fromEntries(
                ["kube-apiserver", "kube-controller-manager", "kube-scheduler"].map((name) => [
                    `registry.k8s.io/${name}:v${further}`,
                    [`${name}-${further}`],
                ]),
            ),
            [`registry.k8s.io/etcd:${etcd}`]: [`etcd-${further}`],
            [`registry.k8s.io/coredns/coredns:v${coredns}`]: [`coredns-${further}`],
            ...common,
        });
    });

    it("of the pinned version are the same, and are not made again, where the mirror holds a further one", () => {
        const extra = recipe(further);
        assert.deepEqual(archives(pinned, ""), archives(pinned, extra));
        assert.equal(call("archives_key kubernetes", ""), call("archives_key kubernetes", extra));
        assert.notEqual(call("archives_key kubernetes", extra), call(`archives_key ${extra}`, extra));
        assert.ok(Object.keys(images(pinned, "control-plane")).includes(`registry.k8s.io/kube-proxy:v${pinned}`));
        assert.ok(Object.values(images(pinned, "control-plane")).every((layers) => !layers.join().includes(further)));
    });

    it("of a version whose recipe is gone are not built any more", () => {
        fs.writeFileSync(at("extra"), "kubernetes-1.20.1\nkubernetes-1.37.2\n");
        assert.equal(
            call("recipes", "")
                .trim()
                .split("\n")
                .filter((name) => /-\d/.test(name))
                .join(),
            "kubernetes-1.37.2",
        );
        fs.rmSync(at("extra"));
    });
});
