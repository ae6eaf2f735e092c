import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { rmSync } from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import * as grpc from "@grpc/grpc-js";
import { ErrorResourceInitFailed } from "@pulumi/pulumi/proto/provider_pb";
import { Status } from "@pulumi/pulumi/proto/status_pb";
import { buildSync } from "esbuild";
import { Struct } from "google-protobuf/google/protobuf/struct_pb";
import {
    Archive,
    Asset,
    fromStruct,
    hasSecret,
    hasUnknown,
    Opaque,
    Output,
    ResourceReference,
    reveal,
    Secret,
    toStruct,
    UNKNOWN,
    Unknown,
    withoutUnknowns,
} from "../../plugins/shared/properties";
import { InitError, type Provider, RpcError, withTimeout } from "../../plugins/shared/provider";
import { FakeEngine, Host, type JsonMap } from "./shared/harness";

const SIGNATURE = "4dabf18193072939515e22adb298388d";
const signed = (signature: string, fields: JsonMap): JsonMap => ({ [SIGNATURE]: signature, ...fields });
const secret = (value: JsonMap | string) => signed("1b47061264138c4ac30d75fd1eb44270", { value });
const asset = (fields: JsonMap) => signed("c44067f5952c0a294b673a41bacd8c17", fields);
const UNKNOWN_BOOL = "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7";

describe("plug-in base: properties", () => {
    const wire: JsonMap = {
        plain: [1.5, -0.25, "text", true, null, [], {}, { nested: { deep: ["ü", "\u0000"] } }],
        secret: secret({ inner: secret("twice"), list: ["x"] }),
        unknown: ["04da6b54-80e4-46f7-96ec-b56ff0331ba9", UNKNOWN_BOOL],
        asset: asset({ hash: "h", text: "" }),
        archive: signed("0def7320c3a5731c473e5ecbe6d01bc7", {
            hash: "h",
            assets: { a: asset({ path: "p" }), b: signed("0def7320c3a5731c473e5ecbe6d01bc7", { uri: "u" }) },
        }),
        reference: signed("5cf8f73096256a8f31e491e813e4eb8e", { urn: "urn", id: "id", packageVersion: "1" }),
        output: signed("d0e6a833031e9bbcd3f4e8bde6ca49a4", { value: 1, secret: true, dependencies: ["urn"] }),
        pending: signed("d0e6a833031e9bbcd3f4e8bde6ca49a4", { dependencies: [] }),
        other: signed("00000000000000000000000000000000", { anything: [secret("x")] }),
    };

    it("come back from plain values as they were on the wire", () => {
        const values = fromStruct(Struct.fromJavaScript(wire));
        assert.deepEqual(toStruct(values).toJavaScript(), wire);
    });

    it("are instances of what the signatures say", () => {
        const values = fromStruct(Struct.fromJavaScript(wire));
        const kinds = { Secret, Asset, Archive, ResourceReference, Output, Opaque };
        const found = Object.entries(values).flatMap(([key, value]) =>
            Object.entries(kinds).flatMap(([kind, type]) => (value instanceof type ? [`${key}: ${kind}`] : [])),
        );
        assert.deepEqual(found.sort(), [
            "archive: Archive",
            "asset: Asset",
            "other: Opaque",
            "output: Output",
            "pending: Output",
            "reference: ResourceReference",
            "secret: Secret",
        ]);
        const [text, bool] = values.unknown as Unknown[];
        assert.ok(text instanceof Unknown && bool instanceof Unknown);
        assert.equal(bool.sentinel, UNKNOWN_BOOL);
    });

    it("are freed of secrets at every depth, and of unknowns", () => {
        const nested = new Secret({ a: [new Secret("x"), new Output(new Secret(1), true, [])], b: UNKNOWN });
        assert.deepEqual(reveal(nested), { a: ["x", 1], b: UNKNOWN });
        assert.deepEqual(withoutUnknowns({ a: UNKNOWN, b: [UNKNOWN, 1], c: new Secret({ d: UNKNOWN }), e: null }), {
            b: [null, 1],
            c: new Secret({}),
            e: null,
        });
        assert.equal(withoutUnknowns(new Secret(UNKNOWN)), undefined);
    });

    it("tell of secrets and unknowns within", () => {
        const inside = new Archive({ assets: { a: new Asset({ text: new Secret("x") }) } });
        assert.deepEqual([hasSecret(inside), hasSecret({ a: [1, "x"] })], [true, false]);
        assert.deepEqual(
            [hasUnknown([new Secret({ a: UNKNOWN })]), hasUnknown(new Output(undefined, false, []))],
            [true, true],
        );
        assert.deepEqual(
            [hasUnknown(null), hasUnknown(undefined), hasUnknown({ a: new Secret(1) })],
            [false, false, false],
        );
    });
});

describe("plug-in base: service", () => {
    let host: Host | undefined;
    const start = async (provider: Partial<Provider>): Promise<Host> => {
        host = await Host.start({ version: "9.9.9", ...provider });
        return host;
    };
    afterEach(() => host?.stop());

    const create: JsonMap = { urn: "urn:pulumi:dev::p::parent$pkg:mod:Type::the::name", properties: { a: "b" } };

    it("answers what is not there with Unimplemented", async () => {
        const served = await start({});
        for (const method of ["Handshake", "Create", "Diff", "Invoke"]) {
            const error = await served.rejection(method, {});
            assert.deepEqual([error.code, error.details], [grpc.status.UNIMPLEMENTED, `${method} is not implemented`]);
        }
        assert.deepEqual(await served.call("GetPluginInfo", {}), { version: "9.9.9" });
    });

    it("takes type and name from the urn where they are not sent apart", async () => {
        const served = await start({ create: ({ type, name }) => ({ id: `${type}/${name}`, properties: {} }) });
        assert.equal((await served.call("Create", create)).id, "pkg:mod:Type/the::name");
    });

    it("hands a half-made resource on with its state and reasons", async () => {
        const served = await start({
            create: () => {
                throw new InitError("not ready", {
                    id: "i",
                    properties: { out: new Secret(1) },
                    inputs: { in: 2 },
                    reasons: ["first", "second"],
                });
            },
        });
        const error = await served.rejection("Create", create);
        const [bytes] = error.metadata.get("grpc-status-details-bin");
        const [detail] = Status.deserializeBinary(bytes as Buffer).getDetailsList();
        assert.equal(detail?.getTypeName(), "pulumirpc.ErrorResourceInitFailed");
        const failed = ErrorResourceInitFailed.deserializeBinary(detail.getValue_asU8());
        assert.deepEqual(
            [error.details, failed.getId(), failed.getReasonsList(), failed.getInputs()?.toJavaScript()],
            ["not ready", "i", ["first", "second"], { in: 2 }],
        );
        const out = signed("1b47061264138c4ac30d75fd1eb44270", { value: 1 });
        assert.deepEqual(failed.getProperties()?.toJavaScript(), { out });
    });

    it("keeps an error's code", async () => {
        const served = await start({
            create: () => {
                throw new RpcError(grpc.status.INVALID_ARGUMENT, "no");
            },
        });
        const error = await served.rejection("Create", create);
        assert.deepEqual([error.code, error.details], [grpc.status.INVALID_ARGUMENT, "no"]);
    });

    it("carries a state of 20 MB", async () => {
        const served = await start({ create: ({ properties }) => ({ id: "i", properties }) });
        const properties = { big: "x".repeat(20_000_000) };
        assert.deepEqual((await served.call("Create", { ...create, properties })).properties, properties);
    });

    it("logs to the engine in order, with the resource's urn", async () => {
        const served = await start({
            create: async (_, { log, status }) => {
                await status("one");
                await log("warning", "two");
                return { id: "i", properties: {} };
            },
        });
        await served.call("Create", create);
        assert.deepEqual(served.engine.logs, [
            { severity: "INFO", urn: create.urn, message: "one", ephemeral: true },
            { severity: "WARNING", urn: create.urn, message: "two", ephemeral: false },
        ]);
    });

    it("Cancel aborts what is under way, and what comes after", async () => {
        const served = await start({
            create: (_, { signal }) =>
                new Promise((_resolve, reject) => {
                    const stop = () => reject(new Error("stopped"));
                    signal.aborted ? stop() : signal.addEventListener("abort", stop);
                }),
        });
        const first = served.failure("Create", create);
        await served.call("Cancel", {});
        assert.deepEqual([await first, await served.failure("Create", create)], ["stopped", "stopped"]);
    });

    it("a time limit has a reason of its own", async () => {
        const signal = withTimeout(new AbortController().signal, 0.01);
        await once(signal, "abort");
        assert.equal((signal.reason as DOMException).name, "TimeoutError");
    });
});

describe("plug-in base: process", function () {
    this.timeout(30_000);
    const bundle = path.join(os.tmpdir(), `plugin-${process.pid}.cjs`);
    const engine = new FakeEngine();
    const children: ChildProcess[] = [];
    /** One that no engine has started: it gives up after seconds, which pass while the others are tried. */
    let alone: ChildProcess;

    before(async () => {
        buildSync({
            entryPoints: [path.join(__dirname, "../../plugins/command/main.ts")],
            outfile: bundle,
            bundle: true,
            platform: "node",
            format: "cjs",
            external: ["cpu-features", "*.node"],
            logLevel: "error",
        });
        await engine.start();
        ({ child: alone } = await launch("127.0.0.1:1"));
    });
    after(() => {
        for (const child of children) {
            child.kill("SIGKILL");
        }
        engine.stop();
        rmSync(bundle, { force: true });
    });

    /** Starts the bundled command plug-in as the engine does, and waits for its first line. */
    async function launch(address: string): Promise<{ child: ChildProcess; line: string }> {
        const args = [bundle, "--logtostderr", address];
        const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
        children.push(child);
        const [line] = (await once(child.stdout ?? child, "data")) as [Buffer];
        return { child, line: line.toString() };
    }

    /** How a child ended; it may have ended long ago. */
    async function end(child: ChildProcess): Promise<[number | null, string | null]> {
        if (child.exitCode === null && child.signalCode === null) {
            await once(child, "exit");
        }
        return [child.exitCode, child.signalCode];
    }

    it("prints its port, and ends on SIGTERM", async () => {
        const { child, line } = await launch(engine.address);
        assert.match(line, /^\d+\n$/);
        child.kill("SIGTERM");
        assert.deepEqual(await end(child), [0, null]);
    });

    it("ends when the engine is gone", async () => {
        const doomed = new FakeEngine();
        await doomed.start();
        const { child, line } = await launch(doomed.address);
        const host = Host.attach({ port: Number(line), close: async () => undefined }, doomed);
        const type = "command:local:Command";
        await host.call("Create", { urn: `urn:pulumi:s::p::${type}::n`, properties: { create: "echo here" } });
        // Once a line has arrived, the plug-in is connected.
        assert.deepEqual(
            doomed.logs.map(({ message }) => message),
            ["here"],
        );
        await host.stop();
        assert.deepEqual(await end(child), [0, null]);
    });

    it("ends when there never was an engine", async () => {
        assert.deepEqual(await end(alone), [0, null]);
    });
});
