// What scripts make of a cluster whose Kubernetes is another one than the sources have.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import * as path from "node:path";
import { renderStep } from "../../components/remoteStep";
import { resultIn } from "../../components/step.cjs";

const root = path.resolve(__dirname, "../..");

/** Runs functions of a script where /etc is empty, with `given` in the place of what asks the machine. */
function within(script: string, constants: Readonly<Record<string, string>>, given: string, call: string) {
    const text = renderStep(script, "m", constants).replace(/main "\$@"\n$/, "");
    const prelude = "set -e; mount -t tmpfs tmpfs /etc; mkdir /etc/kubernetes";
    const { status, stdout, stderr } = spawnSync(
        "unshare",
        ["--map-root-user", "--mount", "bash", "-c", `${prelude}\n${text}\n${given}\n${call}`],
        { cwd: root, encoding: "utf8" },
    );
    return { status, stdout: resultIn(stdout), stderr };
}

describe("a cluster with another Kubernetes than the sources have", () => {
    const packages = [
        "containerd.io=2.3.7-*",
        "kubelet=1.36.5-*",
        "kubeadm=1.36.5-*",
        "kubectl=1.36.5-*",
        "cri-tools=*",
    ];
    const prepare = (call: string, { asked = "", inUse = true, kubelet = "1.36.3-1.1" } = {}) =>
        within(
            "node/prepare-node.sh",
            {
                PACKAGES: packages.join("\n"),
                KUBERNETES_ASKED: asked,
                ...Object.fromEntries(
                    ["KUBERNETES", "CONTAINERD"].flatMap((name) =>
                        ["URL", "SUITE", "COMPONENTS", "KEY", "FINGERPRINT"].map((part) => [`${name}_${part}`, ""]),
                    ),
                ),
            },
            `${inUse ? ": >/etc/kubernetes/joined" : ":"}
            installed_version() { case $1 in kube*) echo ${kubelet} ;; containerd.io) echo 2.3.7-1 ;; *) echo 1.0 ;; esac; }
            apt_source() { :; } # all repositories are there
            apt_update() { echo "update $*"; }
            apt_install() { echo "install $*"; }`,
            call,
        );

    it("leaves a node in use its kubelet, and all else is as wanted", () => {
        const { status, stdout, stderr } = prepare("install_packages");
        assert.equal(status, 0, stderr);
        assert.equal(stdout, "install containerd.io=2.3.7-* cri-tools=*\n");
        assert.match(stderr, /it is a node in use: its kubelet stays 1\.36\.3-1\.1/);
    });

    it("gives a machine that is no node yet what the sources have, once it has read what that is", () => {
        const { stdout, stderr } = prepare("install_packages", { inUse: false });
        assert.equal(stdout, `update kubernetes containerd\ninstall ${packages.join(" ")}\n`);
        assert.doesNotMatch(stderr, /stays/);
    });

    it("reads the repositories again only where something is missing", () => {
        assert.equal(prepare("install_packages", { kubelet: "1.36.5-1.1" }).stdout, `install ${packages.join(" ")}\n`);
    });

    it("refuses another version for a node in use where the settings ask for it, and says what to do", () => {
        const { status, stderr } = prepare("check_machine", { asked: "1.36.5" });
        assert.equal(status, 1);
        assert.match(
            stderr,
            /it is a node with kubelet 1\.36\.3-1\.1, and kubernetesVersion is 1\.36\.5; .* empty that setting, or make a new stack/,
        );
        for (const fine of [{}, { asked: "1.36.5", inUse: false }, { asked: "1.36.5", kubelet: "1.36.5-1.1" }]) {
            assert.doesNotMatch(prepare("check_machine", fine).stderr, /it is a node/);
        }
    });

    const join = (cluster: string) =>
        within(
            "node/join-worker.sh",
            { NODE: "worker-2", ENDPOINT: "10.0.0.1:6443", TOKEN: "t", CA_CERT_HASH: "h" },
            `kubelet() { echo "Kubernetes v1.36.5"; }
            curl() { printf '%s\\n' '{' '  "gitVersion": "${cluster}",' '}'; }`,
            "check_version; echo joins",
        );

    it("takes no new worker with another version", () => {
        assert.equal(join("v1.36.5").stdout, "joins\n");
        const { status, stdout, stderr } = join("v1.36.3");
        assert.deepEqual([status, stdout], [1, ""]);
        assert.match(
            stderr,
            /the cluster has Kubernetes 1\.36\.3, and this machine got 1\.36\.5: .* Set kubernetesVersion to 1\.36\.3 if the sources have it; else make a new stack/,
        );
    });
});
