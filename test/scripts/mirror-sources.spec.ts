// The document that tells machines where they install from.
import * as assert from "node:assert/strict";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { series, versions } from "../../components/versions";
import { mirror, run } from "./mirrorCommand";

describe("mirror: sources", function () {
    this.timeout(300_000);
    let scratch: string;

    before(() => {
        const built = run(["build"]);
        assert.equal(built.code, 0, built.stderr);
        scratch = fs.mkdtempSync(path.join(os.tmpdir(), "mirror-sources-"));
    });
    after(() => fs.rmSync(scratch, { recursive: true, force: true }));

    const kinds = ["kubelet", "kubeadm", "kubectl", "kubernetes-cni", "cri-tools", "containerd.io", "runsc"];

    it("are the local mirror's, under a base URL of one's choice", () => {
        const fingerprint = fs.readFileSync(path.join(mirror, "fingerprint"), "utf8").trim();
        for (const [args, base] of [
            [[], "file:///srv/mirror"],
            [["--base-url", "https://mirror.example/debs/"], "https://mirror.example/debs"],
        ] as const) {
            const result = run(["sources", "--kind", "mirror", ...args]);
            assert.equal(result.code, 0, result.stderr);
            const key = { keyUrl: `${base}/archive.key`, fingerprint };
            const archive = (role: string) => `${base}/images/${role}-${versions.kubernetes.version}.tar`;
            const { packages, ...rest } = JSON.parse(result.stdout);
            assert.deepEqual(rest, {
                kind: "mirror",
                apt: [
                    { name: "kubernetes", url: `${base}/apt/kubernetes`, suite: "/", components: "", ...key },
                    {
                        name: "containerd",
                        url: `${base}/apt/containerd`,
                        suite: "bookworm",
                        components: "stable",
                        ...key,
                    },
                    { name: "gvisor", url: `${base}/apt/gvisor`, suite: "release", components: "main", ...key },
                ],
                images: { controlPlane: [archive("control-plane")], worker: [archive("worker")] },
            });
            assert.deepEqual(Object.keys(packages), kinds);
            assert.equal(packages.kubelet, `${versions.kubernetes.version}-1.1`);
            assert.equal(packages["containerd.io"], `${versions.containerd.version}-1~debian.12~bookworm`);
            assert.ok(Object.values(packages).every((version) => !String(version).includes("*")));
        }
    });

    it("are upstream's, without a mirror", () => {
        const none = path.join(scratch, "none");
        const result = run(["sources", "--kind", "upstream"], { MIRROR_DIR: none });
        assert.equal(result.code, 0, result.stderr);
        const document = JSON.parse(result.stdout);
        assert.equal(document.kind, "upstream");
        assert.deepEqual(document.images, { controlPlane: [], worker: [] });
        assert.deepEqual(Object.keys(document.packages), kinds);
        assert.equal(document.packages.kubelet, `${versions.kubernetes.version}-*`);
        assert.equal(document.packages.runsc, versions.gvisor.release);
        assert.equal(
            document.apt[0].url,
            `https://pkgs.k8s.io/core:/stable:/v${series(versions.kubernetes.version)}/deb/`,
        );
        assert.deepEqual(
            document.apt.map(({ fingerprint }: { fingerprint: string }) => fingerprint),
            ["kubernetes", "containerd", "gvisor"].map((name) => versions.aptKeys[name as "gvisor"].fingerprint),
        );
        assert.equal(fs.existsSync(none), false);
    });

    it("are printed by the project's Node, whichever comes first in PATH", () => {
        fs.writeFileSync(path.join(scratch, "node"), "#!/bin/sh\nexit 3\n", { mode: 0o755 });
        const result = run(["sources", "--kind", "upstream"], { PATH: `${scratch}:${process.env.PATH}` });
        assert.equal(result.code, 0, result.stderr);
        assert.equal(JSON.parse(result.stdout).kind, "upstream");
    });

    it("are upstream's for another Kubernetes, where only its version is another", () => {
        const text = (...args: string[]) => run(["sources", "--kind", "upstream", ...args]).stdout;
        const pinned = versions.kubernetes.version;
        const other = text("--kubernetes", "1.37.2");
        assert.match(other, /"kubelet":"1\.37\.2-\*"/);
        assert.equal(
            other,
            text()
                .replaceAll(`"${pinned}-*"`, '"1.37.2-*"')
                .replaceAll(`v${series(pinned)}/`, "v1.37/"),
        );
    });

    it("of a mirror elsewhere need none here", () => {
        const none = path.join(scratch, "none");
        const args = ["--base-url", "https://mirror.example", "--fingerprint", "ab".repeat(20)];
        const result = run(["sources", "--kind", "auto", ...args], { MIRROR_DIR: none });
        assert.equal(result.code, 0, result.stderr);
        const document = JSON.parse(result.stdout);
        assert.equal(document.kind, "mirror");
        assert.equal(document.apt[2].fingerprint, "AB".repeat(20));
        const images = (...more: string[]) =>
            JSON.parse(run(["sources", "--kind", "mirror", ...args, ...more]).stdout).images.worker;
        assert.deepEqual(images(), [`https://mirror.example/images/worker-${versions.kubernetes.version}.tar`]);
        assert.deepEqual(images("--kubernetes", "1.37.2"), ["https://mirror.example/images/worker-1.37.2.tar"]);
        assert.equal(fs.existsSync(none), false);
    });

    it("name what the mirror does not hold, and what is no option", () => {
        const missing = run(["sources", "--kind", "mirror", "--gvisor", "20200101.0"]);
        assert.equal(missing.code, 1);
        assert.match(
            missing.stderr,
            /does not hold what is asked for.*\n {2}- runsc 20200101\.0: it holds (\d{8}\.0(, )?)+\n$/,
        );
        const kubernetes = run(["sources", "--kind", "mirror", "--kubernetes", "1.37.99"]);
        assert.equal(kubernetes.code, 1);
        assert.match(kubernetes.stderr, /There are .*, kubernetes-1\.37\.2:\n/);
        for (const name of ["kubelet", "kubeadm", "kubectl"]) {
            assert.match(
                kubernetes.stderr,
                new RegExp(`^ {2}- ${name} 1\\.37\\.99-\\*: it holds ${versions.kubernetes.version}-1\\.1`, "m"),
            );
        }
        const kind = run(["sources", "--kind", "elsewhere"]);
        assert.equal(kind.code, 1);
        assert.match(kind.stderr, /--kind is "elsewhere"; it may be auto, mirror or upstream/);
        const option = run(["sources", "--colour", "red"]);
        assert.equal(option.code, 1);
        assert.match(option.stderr, /unknown option --colour; it may be --kind, /);
    });
});
