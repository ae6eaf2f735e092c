// What the command line asks, and what becomes of it where nobody answers.
import * as assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import * as net from "node:net";
import * as os from "node:os";
import * as path from "node:path";
import { pathToFileURL } from "node:url";
import ssh2, { type ServerChannel } from "ssh2";
import { resultMark } from "../../components/step.cjs";
import { sshHostKey } from "../helpers/sshHostKey";

const cli = (file: string) => pathToFileURL(path.resolve(__dirname, "../../cli", file)).href;

/** What a call gives, or the message of its failure, in a process of its own, which must come to an end by itself. */
async function evaluate(file: string, name: string, ...args: unknown[]): Promise<unknown> {
    const call = `${name}(...${JSON.stringify(args)})`;
    const code = `import { ${name} } from "${cli(file)}"; console.log(JSON.stringify(await ${call}.catch((e) => e.message)));`;
    const child = spawn(process.execPath, ["--input-type=module", "-e", code], {
        stdio: ["ignore", "pipe", "inherit"],
    });
    const late = setTimeout(() => child.kill("SIGKILL"), 12_000);
    let said = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
        said += text;
    });
    const [status, signal] = await once(child, "close");
    clearTimeout(late);
    assert.deepEqual([status, signal], [0, null], `it had to be killed; it said ${said || "nothing"}`);
    return JSON.parse(said);
}

describe("command line: a machine that is asked over SSH", function () {
    this.timeout(20_000);
    const { key, hostKey } = sshHostKey();
    const servers: net.Server[] = [];
    const sockets: net.Socket[] = [];

    afterEach(() => {
        for (const one of [...sockets.splice(0), ...servers.splice(0)]) {
            one instanceof net.Socket ? one.destroy() : one.close();
        }
    });

    /** A port whose connections are handed over. */
    const listen = async (take: (socket: net.Socket) => void): Promise<number> => {
        const server = net.createServer((socket) => {
            sockets.push(socket);
            take(socket);
        });
        servers.push(server.listen(0, "127.0.0.1"));
        await once(server, "listening");
        return (server.address() as net.AddressInfo).port;
    };

    /** A machine that lets everybody in, and does this with a command. What is to go on elsewhere it leaves unanswered. */
    const machine = async (run: (channel: ServerChannel) => void) => {
        const server = new ssh2.Server({ hostKeys: [key] }, (peer) => {
            peer.on("error", () => {}); // whoever asks may hang up
            peer.on("authentication", (context) => context.accept());
            peer.on("ready", () => {
                peer.on("session", (accept) => accept().on("exec", (take) => run(take())));
                peer.on("tcpip", () => {});
            });
        });
        const port = await listen((socket) => server.injectSocket(socket));
        return { host: "127.0.0.1", port, password: "any", hostKey };
    };

    it("answers with what the command has said, and how it ended", async () => {
        const connection = await machine((channel) => {
            channel.on("data", (text: Buffer) => channel.write(`read ${text}`));
            channel.on("end", () => {
                channel.stderr.write("well");
                channel.exit(3);
                channel.end();
            });
        });
        assert.deepEqual(await evaluate("machines.ts", "runOn", connection, "true", "this"), {
            code: 3,
            stdout: "read this",
            stderr: "well",
        });
    });

    it("is looked at behind whatever its login's shell prints first", async () => {
        const found = { differences: [], restart: [], basis: "as planned" };
        const connection = await machine((channel) => {
            channel.write(`Welcome to {worker}${resultMark}\n${resultMark}\n${JSON.stringify(found)}\n`);
            channel.exit(0);
            channel.end();
        });
        const resources = [
            { name: "one-runtime-install" },
            {
                name: "one-runtime-look",
                inputs: { connection, create: "true", stdin: "" },
                outputs: { stdout: JSON.stringify(found) }, // of an earlier version
            },
        ];
        assert.deepEqual(await evaluate("look/machines.ts", "lookAtMachines", resources, []), [
            { worker: "one", ...found, moved: false },
        ]);
    });

    for (const [title, connect] of [
        [
            "takes a connection and says nothing",
            async () => ({ ...(await machine(() => {})), port: await listen(() => {}) }),
        ],
        ["says nothing once a command runs", () => machine(() => {})],
        [
            "is behind a jump host that never comes through",
            async () => ({ ...(await machine(() => {})), proxy: await machine(() => {}) }),
        ],
    ] as const) {
        it(`is given up where it ${title}`, async () => {
            const said = await evaluate("machines.ts", "runOn", await connect(), "true", "this", 1000);
            assert.equal(said, "127.0.0.1 has not answered within 1 s");
        });
    }
});

describe("command line: a backend that never answers", function () {
    this.timeout(20_000);
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "silence-"));
    after(() => fs.rmSync(folder, { recursive: true }));

    for (const [title, script] of [
        ["ends", "exec sleep 30"],
        ["takes no notice of a signal, and leaves a child behind", "trap '' TERM\nsleep 15 &\nwait\nwait"],
    ]) {
        it(`is given up: Pulumi ${title}`, async () => {
            const file = path.join(folder, "pulumi");
            fs.writeFileSync(file, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
            assert.equal(
                await evaluate("state.ts", "exportState", "dev", { path: file, env: process.env, limit: 300 }),
                "the state of stack dev cannot be read: pulumi stack export has not answered within 0.3 s",
            );
        });
    }
});
