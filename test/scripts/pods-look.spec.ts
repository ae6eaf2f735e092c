// How `check --pods` asks: the API server page by page, each machine over SSH, and again where something seems to be wrong.
import * as assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import * as http from "node:http";
import type * as net from "node:net";
import * as path from "node:path";
import ssh2 from "ssh2";
import { resultMark } from "../../components/step.cjs";
import { sshHostKey } from "../helpers/sshHostKey";

const root = path.resolve(__dirname, "../..");
const [plain, gvisor] = ["io.containerd.runc.v2", "io.containerd.runsc.v1"];

interface Found {
    readonly refused?: string;
    readonly selector?: boolean;
    readonly machines: readonly { readonly worker: string; readonly pods?: number; readonly error?: string }[];
    readonly pods: readonly { readonly name: string; readonly flaws: readonly { readonly kind: string }[] }[];
}

/** A pod with one container beside the pause container, as a worker prints it. */
const printed = (uid: string, runtime: string, isKnown: boolean): string => {
    const item = {
        id: "s",
        metadata: { uid, name: uid, namespace: "default" },
        state: "SANDBOX_READY",
        createdAt: "1",
    };
    const process = "/proc/7/cmdline\0runsc-sandbox\0/proc/7/cmdline\0boot\0/proc/7/cmdline\0s\0";
    const parts = {
        pods: JSON.stringify({ items: [{ ...item, runtimeHandler: "runsc" }] }),
        containers: JSON.stringify({ containers: [{ id: "c", podSandboxId: "s", metadata: { name: "main" } }] }),
        runtimes: `s ${runtime}\nc ${runtime}\n`,
        runsc: isKnown ? "s 7\nc 7\n" : "",
        processes: isKnown ? process : "",
        programs: isKnown ? "/proc/7/exe\0/usr/bin/gvisor-bin/gvisor_sentry\0" : "",
        ...{ replaced: "", installed: "release-20260905.0", boot: "1" },
    };
    return Object.entries(parts)
        .map(([name, part]) => `${name} ${Buffer.from(part).toString("base64")}\n`)
        .join("");
};

describe("cli/pods/look.ts", function () {
    this.timeout(60_000);
    const { key, hostKey } = sshHostKey();
    /** What the machine says next; where it is undefined, that it cannot. The last one stays. */
    let answers: (string | undefined)[] = [];
    let calls: string[] = [];
    let scripts: string[] = [];
    const machine = new ssh2.Server({ hostKeys: [key] }, (peer) => {
        peer.on("error", () => {}); // whoever asks may hang up
        peer.on("authentication", (context) => context.accept());
        peer.on("session", (accept) =>
            accept().on("exec", (take, _refuse, { command }) => {
                calls.push(command);
                const channel = take();
                let script = "";
                channel.on("data", (text: Buffer) => {
                    script += String(text);
                });
                channel.on("end", () => {
                    scripts.push(script);
                    const said = answers.length > 1 ? answers.shift() : answers[0];
                    channel.stderr.write(said === undefined ? "vm: error: it cannot say what its pods are" : "");
                    channel.write(`Welcome\n${resultMark}\n${said ?? ""}`);
                    channel.exit(said === undefined ? 1 : 0);
                    channel.end();
                });
            }),
        );
    });
    let asked: string[] = [];
    const uids = Array.from({ length: 501 }, (_, index) => `pod-${index}`);
    const cluster = http.createServer((request, response) => {
        const { pathname, searchParams } = new URL(request.url ?? "/", "http://server");
        asked.push(request.url ?? "");
        const from = Number(searchParams.get("continue") ?? 0);
        const [limit, wrong] = [Number(searchParams.get("limit")), searchParams.get("labelSelector") === "=="];
        const pods = uids.slice(from, from + limit).map((uid) => ({
            metadata: { uid, name: uid, namespace: "default" },
            spec: { nodeName: "worker-1", runtimeClassName: uid === "pod-500" ? "myclass" : undefined },
            status: { phase: "Pending" },
        }));
        const next = from + limit < uids.length ? String(from + limit) : "";
        const items: Record<string, object[]> = {
            "/api/v1/pods": pods,
            "/api/v1/namespaces": [{ metadata: { name: "default" } }],
            "/apis/node.k8s.io/v1/runtimeclasses": [{ metadata: { name: "myclass" }, handler: "runsc" }],
        };
        const list = { items: items[pathname], metadata: pathname === "/api/v1/pods" ? { continue: next } : {} };
        response.writeHead(wrong ? 400 : 200, { "content-type": "application/json" });
        response.end(JSON.stringify(wrong ? { message: "unable to parse requirement" } : list));
    });
    const portOf = (server: { address(): unknown }) => (server.address() as net.AddressInfo).port;

    before(async () => {
        machine.listen(0, "127.0.0.1");
        cluster.listen(0, "127.0.0.1");
        await Promise.all([once(machine, "listening"), once(cluster, "listening")]);
    });
    after(() => {
        machine.close();
        cluster.close();
        cluster.closeAllConnections();
    });

    const look = async (said: (string | undefined)[], selector = "", port = portOf(cluster)): Promise<Found> => {
        [answers, calls, scripts, asked] = [said, [], [], []];
        const kubeconfig = {
            clusters: [
                { name: "c", cluster: { server: `http://127.0.0.1:${port}`, "insecure-skip-tls-verify": true } },
            ],
            users: [{ name: "u", user: { token: "t" } }],
            contexts: [{ name: "x", context: { cluster: "c", user: "u" } }],
            "current-context": "x",
        };
        const connection = { host: "127.0.0.1", port: portOf(machine), password: "any", hostKey };
        const input = {
            ...{ kubeconfig: JSON.stringify(kubeconfig), selector, down: ["worker-2"] },
            machines: ["worker-1", "worker-2"].map((name) => ({ name, connection, shell: "sudo -n bash" })),
            ...{ wanted: { handlers: { runsc: "myclass" }, accepted: {} }, patience: 6 },
        };
        const child = spawn(process.execPath, ["cli/pods/look.ts"], {
            cwd: root,
            stdio: ["pipe", "pipe", "inherit"],
        });
        child.stdin.end(JSON.stringify(input));
        let text = "";
        child.stdout.setEncoding("utf8").on("data", (part: string) => {
            text += part;
        });
        assert.deepEqual(await once(child, "close"), [0, null]);
        return JSON.parse(text) as Found;
    };
    const wrongIn = ({ pods }: Found) => pods.flatMap(({ name, flaws }) => flaws.map(({ kind }) => `${name} ${kind}`));
    const good = printed("pod-500", gvisor, true);
    const fallenBack = printed("pod-500", plain, false);
    const ending = printed("pod-500", gvisor, false);

    it("asks each machine once where nothing is wrong, with its scripts in the call, and the API server for all pages", async () => {
        const found = await look([good]);
        assert.deepEqual(wrongIn(found), []);
        assert.deepEqual(
            found.machines.map(({ worker, pods, error }) => [worker, pods, error]),
            [
                ["worker-1", 1, undefined],
                ["worker-2", undefined, "the machine is down"],
            ],
        );
        assert.deepEqual(calls, ["sudo -n timeout --kill-after=10 60 bash -s -- look"]);
        assert.match(
            scripts[0] ?? "",
            /==> result of the step[\s\S]*json_string[\s\S]*is_replaced[\s\S]*"\$answers\/\$name"/,
        );
        assert.deepEqual(
            asked.filter((url) => url.startsWith("/api/v1/pods")),
            ["/api/v1/pods?limit=500", "/api/v1/pods?limit=500&continue=500"],
        );
    });

    it("looks again before it says that something is wrong", async () => {
        assert.deepEqual(wrongIn(await look([fallenBack, good])), []);
        assert.equal(calls.length, 2);
        assert.deepEqual(wrongIn(await look([fallenBack, fallenBack, good])), ["pod-500 unsandboxed"]);
        assert.equal(calls.length, 2);
    });

    it("looks on at what may be ending", async () => {
        assert.deepEqual(wrongIn(await look([ending, ending, ending, good])), []);
        assert.equal(calls.length, 4);
        const start = Date.now();
        assert.deepEqual(wrongIn(await look([ending])), ["pod-500 unsandboxed"]);
        assert.ok(Date.now() - start > 6_000, "but not for ever");
    });

    it("takes no finding of one look from a machine that then fell silent, and says that it did", async () => {
        const found = await look([fallenBack, undefined]);
        assert.deepEqual(wrongIn(found), []);
        assert.equal(found.machines[0]?.error, "vm: error: it cannot say what its pods are");
    });

    it("tells a selector that is none from an API server that cannot be asked", async () => {
        const wrong = await look([good], "==");
        assert.deepEqual(wrong, { refused: "the API server: unable to parse requirement", selector: true });
        const gone = await look([good], "", 9);
        assert.deepEqual(gone, { refused: "the API server: connect ECONNREFUSED 127.0.0.1:9", selector: false });
        await look([good], "app in (a, b)");
        assert.ok(asked.includes("/api/v1/pods?limit=500&labelSelector=app+in+%28a%2C+b%29"), asked.join("\n"));
    });
});
