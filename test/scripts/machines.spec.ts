// The command line's own SSH client, against servers that fall silent.
import * as assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import * as net from "node:net";
import * as path from "node:path";
import { pathToFileURL } from "node:url";
import ssh2, { type ServerChannel } from "ssh2";

const client = pathToFileURL(path.resolve(__dirname, "../../scripts/cli/machines.mjs")).href;

/** What runOn gives in a process of its own, which must come to an end by itself. */
async function runOn(connection: object, patience?: number): Promise<unknown> {
    const call = `runOn(${JSON.stringify(connection)}, "true", "this", ${patience})`;
    const code = `import { runOn } from "${client}"; console.log(JSON.stringify(await ${call}.catch((e) => e.message)));`;
    const child = spawn(process.execPath, ["--input-type=module", "-e", code], {
        stdio: ["ignore", "pipe", "inherit"],
    });
    const late = setTimeout(() => child.kill("SIGKILL"), 8000);
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
    const key = generateKeyPairSync("ec", {
        namedCurve: "P-256",
        publicKeyEncoding: { type: "spki", format: "pem" },
        privateKeyEncoding: { type: "sec1", format: "pem" },
    }).privateKey;
    const parsed = ssh2.utils.parseKey(key);
    assert.ok(!(parsed instanceof Error));
    const hostKey = `ecdsa-sha2-nistp256 ${parsed.getPublicSSH().toString("base64")}`;
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
        assert.deepEqual(await runOn(connection), { code: 3, stdout: "read this", stderr: "well" });
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
            assert.equal(await runOn(await connect(), 1000), "127.0.0.1 has not answered within 1 s");
        });
    }
});
