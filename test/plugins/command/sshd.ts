import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { appendFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import * as net from "node:net";
import * as os from "node:os";
import * as path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const SSHD = "/usr/sbin/sshd";
const START_LIMIT_MS = 10_000;

/** A real OpenSSH server on a loopback port of its own, for the current user, with fresh keys. */
export class Sshd {
    readonly user = os.userInfo().username;
    readonly host = "127.0.0.1";
    readonly directory = mkdtempSync(path.join(os.tmpdir(), "sshd-"));
    port = 0;
    privateKey = "";
    hostKey = "";
    private process: ChildProcess | undefined;

    async start(options: string[] = []): Promise<this> {
        if (!existsSync(SSHD)) {
            throw new Error(
                `${SSHD} is missing: these tests need the package openssh-server (apt-get install openssh-server)`,
            );
        }
        this.port = await freePort();
        for (const name of ["host", "user"]) {
            execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", name, "-f", this.file(name)]);
        }
        writeFileSync(this.file("authorized_keys"), readFileSync(this.file("user.pub")));
        this.privateKey = readFileSync(this.file("user"), "utf8");
        this.hostKey = readFileSync(this.file("host.pub"), "utf8").trim();
        writeFileSync(this.file("config"), `${[...this.settings(), ...options].join("\n")}\n`);
        if (os.userInfo().uid === 0) {
            mkdirSync("/run/sshd", { recursive: true });
        }
        await this.run();
        return this;
    }

    /** Starts the server (again, after {@link kill}) with the same keys on the same port. */
    async run(): Promise<void> {
        const child = spawn(SSHD, ["-D", "-e", "-f", this.file("config")], { stdio: ["ignore", "ignore", "pipe"] });
        this.process = child;
        let said = "";
        child.stderr.on("data", (chunk) => {
            said += chunk;
        });
        const end = Date.now() + START_LIMIT_MS;
        while (!(await answers(this.port))) {
            if (child.exitCode !== null || Date.now() > end) {
                throw new Error(`sshd does not answer on port ${this.port}: ${said}`);
            }
            await sleep(20);
        }
    }

    /** The connection that a user would give for this server. */
    connection(extra: Record<string, string | number> = {}) {
        const { host, port, user, privateKey, hostKey } = this;
        return { host, port, user, privateKey, hostKey, dialErrorLimit: 1, perDialTimeout: 5, ...extra };
    }

    /** Lets one more key in. */
    authorize(publicKey: string): void {
        appendFileSync(this.file("authorized_keys"), publicKey);
    }

    /** Ends the listening server and the servers of all connections, at once. */
    kill(): void {
        const { pid } = this.process ?? {};
        if (pid !== undefined) {
            for (const child of descendants(pid)) {
                signalOne(child, "SIGKILL");
            }
            signalOne(pid, "SIGKILL");
        }
    }

    stop(): void {
        this.kill();
        rmSync(this.directory, { recursive: true, force: true });
    }

    private file(name: string): string {
        return path.join(this.directory, name);
    }

    private settings(): string[] {
        return [
            `Port ${this.port}`,
            `ListenAddress ${this.host}`,
            `HostKey ${this.file("host")}`,
            `AuthorizedKeysFile ${this.file("authorized_keys")}`,
            `PidFile ${this.file("pid")}`,
            "AcceptEnv ACCEPTED_*",
            "AllowTcpForwarding yes",
            "KbdInteractiveAuthentication no",
            "LogLevel ERROR",
            "MaxStartups 200",
            "PasswordAuthentication no",
            "PermitRootLogin yes",
            // What the user's shell reads at its start is no part of the test.
            `SetEnv HOME=${this.directory}`,
            "StrictModes no",
            "Subsystem sftp internal-sftp",
            "UsePAM no",
        ];
    }
}

function signalOne(pid: number, signal: NodeJS.Signals): void {
    try {
        process.kill(pid, signal);
    } catch {
        // It is gone.
    }
}

/** Server processes below one, without what they run. */
function descendants(pid: number): number[] {
    const children = execFileSync("ps", ["-e", "-o", "pid=,ppid=,comm="], { encoding: "utf8" })
        .split("\n")
        .map((line) => line.trim().split(/\s+/))
        .filter(([, parent, command]) => Number(parent) === pid && command?.startsWith("sshd"))
        .map(([child]) => Number(child));
    return children.flatMap((child) => [child, ...descendants(child)]);
}

/** A port that nothing listens on. */
export function freePort(): Promise<number> {
    return new Promise((resolve, reject) => {
        const server = net.createServer().on("error", reject);
        server.listen(0, "127.0.0.1", () => {
            const address = server.address();
            server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0));
        });
    });
}

function answers(port: number): Promise<boolean> {
    return new Promise((resolve) => {
        const socket = net.connect(port, "127.0.0.1");
        socket.once("error", () => resolve(false));
        socket.once("connect", () => {
            socket.destroy();
            resolve(true);
        });
    });
}
