import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { CommandProvider } from "../../plugins/command/provider";
import { freePort, Sshd } from "./command/sshd";
import { Host, type Json, type JsonMap } from "./shared/harness";

interface RecordedCall {
    from: string;
    method: string;
    request: JsonMap;
    response?: JsonMap;
    error?: string;
}

const RECORDS = readFileSync(path.join(__dirname, "official/command.jsonl"), "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as RecordedCall);

const RECORDED_HOST_KEY = "AAAAC3NzaC1lZDI1NTE5AAAAIEDrkOX3aY/+IpQhargl1MbakrDdPWVGouCcxEuAxI2N";
const RECORDED_CLOSED_PORT = 2;

/** Calls that reach a machine: they are made for real, on this one. */
function isLive({ method, request }: RecordedCall): boolean {
    return ["Create", "Update", "Delete"].includes(method) && request.preview !== true;
}

/** Checks the form of a new id (the resource's name and eight random hex digits) and takes the digits off. */
function settleId(method: string, request: JsonMap, response: JsonMap): JsonMap {
    if (method !== "Create" || response.id === undefined) {
        return response;
    }
    assert.match(String(response.id), /[0-9a-f]{8}$/);
    const id = String(response.id).slice(0, -8);
    assert.equal(id, request.type === "command:remote:CopyToRemote" ? "" : request.name);
    return { ...response, id };
}

/** The order of what a command wrote to stdout and stderr is not fixed; the record has one of the two. */
function sortedLines(error: string): string[] {
    return error.split("\n").sort();
}

describe("command plug-in: recorded calls of the official one", () => {
    const sshd = new Sshd();
    const home = process.cwd();
    const project = realpathSync(mkdtempSync(path.join(os.tmpdir(), "recorded-")));
    let host: Host;
    let closedPort: number;

    /** The record with this machine in the place of the recorded ones. */
    function here(value: Json, key = ""): Json {
        if (typeof value === "string") {
            return value
                .replace(/^PRIVATE-KEY\n$/, sshd.privateKey)
                .replace(`ssh-ed25519 ${RECORDED_HOST_KEY}`, sshd.hostKey)
                .replace("/etc/kubernetes/admin.conf", path.join(project, "admin.conf"))
                .replace(/^\/root(?=\/|$)/, path.join(project, "remote"))
                .replace("6.18.44-fc-v657", os.release())
                .replace(/^worker-1$/, os.hostname())
                .replace(`10.77.0.11:${RECORDED_CLOSED_PORT}`, `${sshd.host}:${closedPort}`)
                .replace(/^10\.77\.0\.1[01]$/, sshd.host)
                .replace(/^root$/, key === "user" ? sshd.user : "root");
        }
        if (Array.isArray(value)) {
            return value.map((element) => here(element));
        }
        if (typeof value === "number") {
            return key === "port" ? (value === RECORDED_CLOSED_PORT ? closedPort : sshd.port) : value;
        }
        return value !== null && typeof value === "object" ? hereMap(value) : value;
    }

    function hereMap(map: JsonMap): JsonMap {
        return Object.fromEntries(Object.entries(map).map(([key, value]) => [key, here(value, key)]));
    }

    before(async () => {
        mkdirSync(path.join(project, "files/sub"), { recursive: true });
        mkdirSync(path.join(project, "remote"));
        writeFileSync(path.join(project, "files/a.txt"), "one\n");
        writeFileSync(path.join(project, "files/sub/b.txt"), "two\n");
        const kubeconfig = RECORDS.find(
            (call) => call.method === "Create" && isLive(call) && call.request.name === "kubeconfig",
        );
        const recorded = kubeconfig?.response?.properties as JsonMap | undefined;
        assert.equal(typeof recorded?.stdout, "string");
        writeFileSync(path.join(project, "admin.conf"), `${recorded?.stdout}\n`);
        closedPort = await freePort();
        await sshd.start();
        process.chdir(project);
        host = await Host.start(new CommandProvider());
    });

    after(async () => {
        process.chdir(home);
        await host?.stop();
        sshd.stop();
        rmSync(project, { recursive: true, force: true });
    });

    for (const record of RECORDS) {
        const { from, method, request, response, error } = record;
        // Cancel ends the provider, and is tried elsewhere.
        if (method === "Cancel") {
            continue;
        }
        it(`${from}: ${method} ${request.name ?? ""}`, async () => {
            const made = isLive(record) ? hereMap(request) : request;
            if (error !== undefined) {
                const expected = String(here(error)).replace(/^rpc error: code = \w+ desc = /, "");
                assert.deepEqual(sortedLines(await host.failure(method, made)), sortedLines(expected));
                return;
            }
            const expected = isLive(record) ? hereMap(response ?? {}) : (response ?? {});
            const answer = await host.call(method, made);
            assert.deepEqual(settleId(method, request, answer), settleId(method, request, expected));
        });
    }

    it("copied what was to be copied", () => {
        const copied = (name: string) => readFileSync(path.join(project, "remote", name), "utf8");
        assert.deepEqual(["a.txt", "text.txt", "files/a.txt", "files/sub/b.txt"].map(copied), [
            "one\n",
            "text 2\n",
            "one\n",
            "two\n",
        ]);
    });
});
