import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { CommandProvider } from "../../../plugins/command/provider";
import { eventually } from "../../helpers/eventually";
import { Host, type JsonMap } from "../shared/harness";
import { Sshd } from "./sshd";

export const SIGNATURE = "4dabf18193072939515e22adb298388d";

export const secret = (value: string | JsonMap): JsonMap => ({
    [SIGNATURE]: "1b47061264138c4ac30d75fd1eb44270",
    value,
});

export function request(type: string, properties: JsonMap, more: JsonMap = {}): JsonMap {
    return { urn: `urn:pulumi:dev::test::${type}::step`, type, name: "step", properties, ...more };
}

export const remote = (properties: JsonMap, more: JsonMap = {}): JsonMap =>
    request("command:remote:Command", properties, more);
export const local = (properties: JsonMap, more: JsonMap = {}): JsonMap =>
    request("command:local:Command", properties, more);

/** The state in an answer to Create, Update or Read. */
export function stateOf(answer: JsonMap): JsonMap {
    return answer.properties as JsonMap;
}

export async function untilGone(pid: number): Promise<boolean> {
    for (const end = Date.now() + 10_000; Date.now() < end; await sleep(50)) {
        try {
            // A zombie still has its pid; it is gone as far as this is concerned.
            if (/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"))) {
                return true;
            }
        } catch {
            return true;
        }
    }
    return false;
}

export async function untilExists(file: string): Promise<void> {
    await eventually(`${file} to appear`, () => existsSync(file), 10_000);
}

/** What a suite works with: a new provider for each test, one server for all, a directory for scratch. */
export class Bench {
    readonly sshd = new Sshd();
    readonly scratch = mkdtempSync(path.join(os.tmpdir(), "command-"));
    private running: Host | undefined;
    private readonly agent = process.env.SSH_AUTH_SOCK;

    /** Registers mocha's hooks in the suite that calls it. */
    constructor() {
        before(async () => {
            delete process.env.SSH_AUTH_SOCK;
            await this.sshd.start();
        });
        beforeEach(async () => {
            this.running = await Host.start(new CommandProvider());
        });
        afterEach(() => this.running?.stop());
        after(() => {
            if (this.agent !== undefined) {
                process.env.SSH_AUTH_SOCK = this.agent;
            }
            this.sshd.stop();
            rmSync(this.scratch, { recursive: true, force: true });
        });
    }

    get host(): Host {
        assert.ok(this.running, "the provider runs during a test only");
        return this.running;
    }

    file(name: string): string {
        return path.join(this.scratch, name);
    }

    connection(extra: Record<string, string | number> = {}): JsonMap {
        return this.sshd.connection(extra);
    }

    logged(): string[] {
        return this.host.engine.logs.map(({ message }) => message);
    }
}
