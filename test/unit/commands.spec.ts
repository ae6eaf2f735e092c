import assert from "node:assert/strict";
import * as fs from "node:fs";
import { contentHash } from "../../components/contentHash";
import { callOf, nameOf, textOf } from "../../components/machineScripts";
import { runtimeLibraries } from "../../components/runtimeScripts";
import { caCertHash, machineDocument, secrets } from "../helpers/canned";
import type { Recorded } from "../helpers/mocks";
import { type ProgramRun, runProgram } from "../helpers/program";

const apt = (name: string) => ["URL", "SUITE", "COMPONENTS", "KEY", "FINGERPRINT"].map((part) => `${name}_${part}`);
const nodeConstants = [
    "ROLE",
    "KUBERNETES_ASKED",
    "HOSTS",
    "PACKAGES",
    "IMAGES",
    "PAUSE_IMAGE",
    ...apt("KUBERNETES"),
    ...apt("CONTAINERD"),
];

/** Every step of a cluster with one worker: its machine, its script and the constants that the script gets. */
const runtimeConstants = [
    ...["NODE", "HANDLERS", "FILES", "ROOT_HEAD", "ROOT_TAIL", "BASIS", "RUNSC_VERSION", "METHOD"],
    ...apt("GVISOR"),
    "DRAINED",
];
const steps: readonly [name: string, machine: string, script: string, constants: readonly string[]][] = [
    ["cluster-node-step", "control-plane", "node/prepare-node.sh", nodeConstants],
    [
        "cluster-init",
        "control-plane",
        "node/init-control-plane.sh",
        ["NODE", "ADDRESS", "PORT", "KUBERNETES_VERSION", "POD_RANGE", "SERVICE_RANGE", "CGROUP_DRIVER", "NETWORK"],
    ],
    ["worker-1-node-step", "worker-1", "node/prepare-node.sh", nodeConstants],
    ["worker-1-runtime-facts", "worker-1", "gvisor/facts.sh", ["PREPARED"]],
    ["worker-1-runtime-look", "worker-1", "gvisor/inspect.sh", [...runtimeConstants, "INSTALLER"]],
    ["worker-1-runtime-install", "worker-1", "gvisor/install.sh", [...runtimeConstants, "LOOK"]],
    ["worker-1-ticket", "control-plane", "node/join-ticket.sh", ["WORKER", "MACHINE", "CA_CERT_HASH"]],
    ["worker-1-membership", "control-plane", "node/membership.sh", ["WORKER", "CA_CERT_HASH"]],
    ["worker-1-join", "worker-1", "node/join-worker.sh", ["NODE", "ENDPOINT", "CA_CERT_HASH", "TOKEN"]],
    ["worker-1-ready", "worker-1", "gvisor/verify-node.sh", ["NODE", "HANDLERS", "CONFIG"]],
    ["worker-1-probe-host", "worker-1", "probe/host-facts.sh", ["PODS", "OPTIONS", "RUNTIME"]],
];

/** What is read before a script. */
function librariesOf(script: string): readonly string[] {
    switch (script) {
        case "gvisor/facts.sh":
            return ["gvisor/node.sh", "gvisor/containerd.sh"];
        case "gvisor/inspect.sh":
        case "gvisor/install.sh":
            return runtimeLibraries;
        default:
            return /^(gvisor\/|probe\/host)/.test(script) ? ["gvisor/node.sh"] : [];
    }
}

const isRemote = ({ type }: Recorded) => type === "command:remote:Command";
const isCommand = (resource: Recorded) => isRemote(resource) || resource.type === "command:local:Command";
const text = (value: unknown): string => (typeof value === "string" ? value : "");

/** Parts of the secrets that survive JSON and quoting. */
const traces = ["the operator", secrets.token, "administrators"];

describe("the commands of the program", () => {
    let run: ProgramRun;
    before(async () => {
        run = await runProgram();
    });

    it("are these steps, each a script on its machine with its constants", () => {
        const names = run.resources.filter(isRemote).map(({ name }) => name);
        assert.deepEqual(names.sort(), steps.map(([name]) => name).sort());
        for (const [name, machine, script, constants] of steps) {
            const step = run.get(name);
            const stdin = text(step.inputs.stdin);
            const head = stdin.slice(0, stdin.indexOf("\nSCRIPTS='") + 1);
            assert.ok(stdin.startsWith(`# machine identity-of-${machine} first\n`), name);
            const called = [...librariesOf(script), script];
            const record = name === "worker-1-runtime-install" ? "/var/lib/runtime-sandboxes" : undefined;
            assert.equal(stdin.slice(head.length), callOf(called, `${machine}-scripts`, record), name);
            assert.ok(
                step.dependencies.some((one) => one.name === `${machine}-scripts`),
                name,
            );
            const given = [...head.matchAll(/^readonly (\w+)='/gm)]
                .map(([, constant]) => constant)
                .filter((constant) => !["OWNER", "TIMEOUT"].includes(constant ?? ""));
            assert.match(head, new RegExp(`^readonly OWNER='stack mocked, ${name}'$`, "m"));
            assert.deepEqual(given.sort(), [...constants].sort(), name);
            assert.equal(step.deletedWith?.name, `local-machine-${machine}`, name);
        }
    });

    it("give scripts the values of settings, sources and earlier steps", () => {
        for (const [name, line] of [
            ["worker-1-runtime-install", "HANDLERS='runsc'"],
            ["worker-1-runtime-install", "RUNSC_VERSION='20261116.0'"],
            ["worker-1-runtime-install", "GVISOR_URL='file:///srv/mirror/apt/gvisor'"],
            ["worker-1-runtime-install", `GVISOR_FINGERPRINT='${"2".repeat(40)}'`],
            ["worker-1-node-step", "HOSTS='10.77.0.10 control-plane\n10.77.0.11 worker-1'"],
            ["worker-1-node-step", "IMAGES='file:///srv/mirror/images/pause.tar\nfile:///srv/mirror/images/nginx.tar'"],
            ["cluster-node-step", "HOSTS='10.77.0.10 control-plane'"],
            ["cluster-node-step", "IMAGES='file:///srv/mirror/images/control-plane-1.36.5.tar'"],
            ["cluster-node-step", "PAUSE_IMAGE='registry.k8s.io/pause:3.10.2'"],
            ["cluster-init", "KUBERNETES_VERSION='1.36.5'"],
            ["cluster-init", "CGROUP_DRIVER='cgroupfs'"],
            ["worker-1-join", "ENDPOINT='10.77.0.10:6443'"],
            ["worker-1-join", `CA_CERT_HASH='${caCertHash}'`],
            ["worker-1-join", `TOKEN='${secrets.token}'`],
            ["worker-1-probe-host", "PODS='test-1 uid-of-worker-1-test-1-pod\ntest-2 uid-of-worker-1-test-2-pod'"],
        ] as const) {
            assert.ok(text(run.get(name).inputs.stdin).includes(`\nreadonly ${line}\n`), `${name} lacks ${line}`);
        }
    });

    it("make the node image by the very step that prepares a node, with the images of both roles", () => {
        /** What follows the constants of a step, and these by name. */
        const parts = (name: string, mark: string) => {
            const stdin = text(run.get(name).inputs.stdin);
            const script = stdin.indexOf(mark);
            const constants = stdin.slice(0, script).matchAll(/^readonly (\w+)='([^']*)'$/gm);
            return {
                script: stdin.slice(script),
                constants: Object.fromEntries([...constants].map(([, key = "", value = ""]) => [key, value])),
            };
        };
        // The image is of no stack, and its machine is gone before anything could be brought to it.
        const image = parts("local-image", "#!/usr/bin/env bash");
        const worker = parts("worker-1-node-step", "SCRIPTS=");
        assert.equal(image.script, textOf(["node/prepare-node.sh"]));
        const { IMAGES, OWNER, HOSTS, ...same } = image.constants;
        assert.deepEqual([OWNER, HOSTS], ["node image", ""]);
        const archives = ["control-plane-1.36.5", "pause", "nginx"].map(
            (name) => `file:///srv/mirror/images/${name}.tar`,
        );
        assert.equal(IMAGES, archives.join("\n"));
        const { TIMEOUT, ...given } = worker.constants;
        assert.equal(TIMEOUT, "600");
        assert.deepEqual({ ...given, ...same }, given);
        assert.deepEqual(Object.keys(image.constants).sort(), Object.keys(given).sort());
    });

    it("clean up before they are replaced, never after", () => {
        const cleaning = run.resources
            .filter(isCommand)
            // Short-lived pods are never replaced, and clear away what is old by themselves.
            .filter(
                ({ inputs, name }) =>
                    inputs.delete !== undefined && !/-(canary|attacks|surface|reachable)-pods$/.test(name),
            );
        assert.deepEqual(
            cleaning.map(({ name, deleteBeforeReplace }) => [name, deleteBeforeReplace]).sort(),
            [
                ...[
                    "control-plane-scripts",
                    "local-image",
                    "local-key",
                    "local-machine-control-plane",
                    "local-machine-worker-1",
                    "local-network",
                ],
                ...["worker-1-membership", "worker-1-runtime-install", "worker-1-scripts"],
            ].map((name) => [name, true]),
        );
    });

    it("reach machines with the pinned host key and the operator's key only", () => {
        for (const [name, machine] of steps) {
            const { address, port, user, hostKey } = machineDocument(
                machine,
                machine === "worker-1" ? "10.77.0.11" : "10.77.0.10",
            );
            const { dialErrorLimit, perDialTimeout, ...connection } = run.get(name).inputs.connection as Record<
                string,
                unknown
            >;
            assert.deepEqual(connection, { host: address, port, user, hostKey, privateKey: secrets.privateKey }, name);
            // 0 or less would try for ever.
            assert.ok(Number(dialErrorLimit) > 0 && Number(perDialTimeout) > 0, name);
        }
    });

    it("end in time, on the machine first", () => {
        for (const { name, inputs, timeouts } of run.resources.filter(isRemote)) {
            const calls = [inputs.create, inputs.update, inputs.delete].filter((call) => call !== undefined);
            for (const call of calls) {
                const [, limit] =
                    /^timeout --kill-after=10 (\d+) bash -s -- (?:install|inspect|remove)(?: # [\w ]+)?$/.exec(
                        text(call),
                    ) ?? [];
                assert.ok(limit, `${name}: ${call}`);
                assert.equal(timeouts.create, `${Number(limit) + 60}s`, name);
                assert.equal(timeouts.update, timeouts.create, name);
            }
        }
        for (const name of ["worker-1-probe-pods", "worker-1-test-1-pod", "worker-1-test-2-pod"]) {
            assert.match(run.get(name).timeouts.create, /^\d+[sm]$/, name);
        }
    });

    it("ask no script for a verb that it does not have", () => {
        const removable = steps.filter(([name]) => run.get(name).inputs.delete !== undefined);
        assert.deepEqual(
            removable.map(([name]) => name),
            ["worker-1-runtime-install", "worker-1-membership"],
        );
        assert.match(fs.readFileSync("scripts/on-machine/node/membership.sh", "utf8"), /^ *remove\)/m);
        // What takes the runtime away is not named by the step that makes it: another one makes nothing again.
        const stdin = text(run.get("worker-1-runtime-install").inputs.stdin);
        assert.ok(!stdin.includes(nameOf("gvisor/remove.sh")));
        const { removal } = JSON.parse(text(run.get("worker-1-scripts").inputs.stdin)) as { removal: string[] };
        assert.deepEqual(removal, ["lib.sh", ...runtimeLibraries, "gvisor/remove.sh"]);
    });

    it("look again where another installation might restart what this one has not", () => {
        const look = text(run.get("worker-1-runtime-look").inputs.stdin);
        assert.ok(look.includes(`INSTALLER='${contentHash("scripts/on-machine/gvisor/install.sh")}'`));
        const install = text(run.get("worker-1-runtime-install").inputs.stdin);
        for (const script of runtimeLibraries) {
            assert.ok(look.includes(nameOf(script)) && install.includes(nameOf(script)), script);
        }
    });

    it("never hand on their earlier output, and never both replace and delete", () => {
        const commands = run.resources.filter(isCommand);
        assert.equal(commands.length, steps.length + 13);
        for (const { name, inputs } of commands) {
            assert.equal(inputs.addPreviousOutputInEnv, false, name);
            assert.ok(inputs.triggers === undefined || inputs.delete === undefined, name);
        }
    });

    it("hold no secret but in inputs that are secret, and none in what is run", () => {
        const holders = new Set<string>();
        for (const { name, inputs, secretInputs } of run.resources) {
            for (const [key, value] of Object.entries(inputs)) {
                if (traces.some((trace) => JSON.stringify(value).includes(trace))) {
                    holders.add(`${name} ${key}`);
                    assert.ok(secretInputs.includes(key), `${name}: ${key} holds a secret openly`);
                    assert.ok(["connection", "stdin", "kubeconfig"].includes(key), `${name}: ${key} holds a secret`);
                }
            }
        }
        // The check above is worth something only if the secrets pass by.
        for (const holder of ["worker-1-join stdin", "worker-1-probe-pods stdin", "cluster-kubernetes kubeconfig"]) {
            assert.ok(holders.has(holder), holder);
        }
    });

    it("keep the texts of all other steps open, so that a plan shows what changes in them", () => {
        const hidden = run.resources.filter(({ secretInputs }) => secretInputs.includes("stdin"));
        assert.deepEqual(hidden.map(({ name }) => name).sort(), [
            "control-plane-scripts",
            "worker-1-attacks-pods",
            "worker-1-canary-pods",
            "worker-1-join",
            "worker-1-probe-pods",
            "worker-1-scripts",
            "worker-1-surface-pods",
        ]);
    });

    it("hold the text of no script that runs on a machine, but that of the node image", () => {
        const holders = run.resources.filter(({ inputs }) => JSON.stringify(inputs).includes("set -euo pipefail"));
        assert.deepEqual(
            holders.map(({ name }) => name),
            ["local-image"],
        );
        const machine = run.resources.filter((one) => one.name.startsWith("worker-1-") && isCommand(one));
        // Twice of it is in the state, beside what machine and cluster print.
        assert.ok(machine.reduce((sum, { inputs }) => sum + JSON.stringify(inputs).length, 0) < 30_000);
    });

    it("bring the scripts to each machine before the first of them, by what they hold", () => {
        for (const machine of ["control-plane", "worker-1"]) {
            const { inputs, deletedWith, dependencies } = run.get(`${machine}-scripts`);
            assert.match(text(inputs.create), /^node scripts\/on-host\.mjs scripts bring # [0-9a-f]{16}$/);
            assert.equal(inputs.delete, "node scripts/on-host.mjs scripts remove");
            assert.equal(deletedWith?.name, `local-machine-${machine}`);
            assert.ok(dependencies.every(({ name }) => name.startsWith("local-")));
            const { connection, shell, files } = JSON.parse(text(inputs.stdin));
            assert.equal(connection.privateKey, secrets.privateKey);
            assert.equal(shell, "bash");
            for (const [, , script] of steps) {
                assert.ok(files.includes(script), script);
            }
        }
    });

    it("keep key, ticket and kubeconfig secret in the state, and out of the log", () => {
        const silent = run.resources.filter(isCommand).filter(({ inputs }) => inputs.logging === "none");
        assert.deepEqual(silent.map(({ name }) => name).sort(), [
            ...["cluster-init", "local-key", "worker-1-runtime-facts", "worker-1-ticket"],
        ]);
        for (const { name, additionalSecretOutputs } of silent) {
            assert.ok(additionalSecretOutputs.includes("stdout"), name);
        }
        for (const { name, inputs } of run.resources.filter(isCommand).filter((one) => !silent.includes(one))) {
            // Standard output is the result, for the program; a line of 200 kB of it would hang the official plug-in.
            assert.equal(inputs.logging, "stderr", name);
        }
    });

    it("make machines with their directories, network and addresses, and unmake them alike", async () => {
        const other = await runProgram({
            workers: ["alpha", "beta"],
            settings: { bridge: "lab7", addressRange: "192.168.7.0/24" },
        });
        const { create, delete: remove } = other.get("local-machine-beta").inputs;
        const environment =
            'STACK_DIR="$PWD/.local/mocked" CACHE_DIR="$PWD/.cache" MIRROR_DIR="$PWD/.cache/mirror" ' +
            "BRIDGE=lab7 RANGE=192.168.7.0/24";
        assert.equal(create, `${environment} bash scripts/local/machine.sh up beta 192.168.7.12 --incarnation first`);
        assert.match(
            text(remove),
            /^STACK_DIR="\$PWD\/\.local\/mocked" .* bash scripts\/local\/machine\.sh down beta\b/,
        );
        assert.match(
            text(other.get("local-machine-control-plane").inputs.create),
            / up control-plane 192\.168\.7\.10 /,
        );
        assert.match(text(other.get("local-network").inputs.create), /network\.sh up # boot [0-9a-f-]{36}$/);
    });

    it("ask for the sources that the settings name", async () => {
        const ask = async (settings: Record<string, string>) => {
            const { inputs } = (await runProgram({ settings })).get("local-sources");
            return text(inputs.create)
                .replace(/^.* sources /, "")
                .replace(/ # recipe [0-9a-f]{16}$/, "");
        };
        assert.equal(await ask({}), "--kind auto");
        assert.equal(
            await ask({
                sources: "mirror",
                mirror: "https://mirror.example/a",
                mirrorFingerprint: "ab".repeat(20),
                kubernetesVersion: "1.36.2",
                containerdVersion: "2.2.4",
            }),
            `--kind mirror --base-url 'https://mirror.example/a' --fingerprint ${"AB".repeat(20)} ` +
                "--kubernetes 1.36.2 --containerd 2.2.4",
        );
    });
});
