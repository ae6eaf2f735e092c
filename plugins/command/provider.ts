import { randomBytes } from "node:crypto";
import {
    Archive,
    Asset,
    hasUnknown,
    isMap,
    type PropertyMap,
    reveal,
    revealMap,
    Secret,
    UNKNOWN,
    Unknown,
    type Value,
} from "../shared/properties";
import {
    type Abilities,
    type CheckFailure,
    type CheckRequest,
    type CheckResult,
    type Context,
    type CreateRequest,
    type CreateResult,
    type DeleteRequest,
    type DiffRequest,
    type DiffResult,
    type InvokeRequest,
    type InvokeResult,
    type Provider,
    type ReadRequest,
    type ReadResult,
    type UpdateRequest,
    withTimeout,
} from "../shared/provider";
import { copyToRemote } from "./copy";
import type { Target } from "./dial";
import { diff, same } from "./diff";
import { complaints, hideSecrets, RESOURCES, RUN } from "./inputs";
import { runLocally } from "./local";
import { type Logging, quote } from "./output";
import { runRemotely } from "./session";

/** The stand-in's version is that of the plug-in it stands in for. */
const VERSION = "1.2.1";
const ABILITIES: Abilities = { acceptSecrets: true, acceptResources: true, acceptOutputs: true };
/** The official plug-in's framework leaves its version in every provider's state. */
const FRAMEWORK = { "__pulumi-go-provider-version": "v1.5.0" };

/** Outputs that are no inputs; the first two are always there. */
const OUTPUTS = ["stdout", "stderr", "assets", "archive"];

type Outputs = Pick<PropertyMap, (typeof OUTPUTS)[number]>;

function shapeOf(type: string) {
    const shape = RESOURCES[type];
    if (shape === undefined) {
        throw new Error(`the command plug-in has no resource ${type}; it has ${Object.keys(RESOURCES).join(", ")}`);
    }
    return shape;
}

function text(value: Value | undefined): string | undefined {
    return typeof value === "string" ? value : undefined;
}

function texts(value: Value | undefined): string[] | undefined {
    return Array.isArray(value) ? value.filter((v) => typeof v === "string") : undefined;
}

function variables(value: Value | undefined): Record<string, string> {
    const pairs = Object.entries(isMap(value ?? null) ? (value as PropertyMap) : {});
    return Object.fromEntries(pairs.flatMap(([name, v]) => (typeof v === "string" ? [[name, v]] : [])));
}

/** The connection in plain values; {@link complaints} has seen to its types. */
function targetOf(inputs: PropertyMap): Target {
    const connection = inputs.connection ?? null;
    if (!isMap(connection) || typeof connection.host !== "string") {
        throw new Error("connection: host is missing");
    }
    const known = Object.fromEntries(Object.entries(connection).filter(([, value]) => value !== null));
    return { ...known, host: connection.host } as Target;
}

/** An archive of which only the hash is known, as after a refresh, is written with an empty list of members. */
function settle(value: Value): Value {
    if (value instanceof Secret) {
        return new Secret(settle(value.value));
    }
    if (value instanceof Archive) {
        const { path = "", uri = "", assets } = value.fields;
        const bare = path === "" && uri === "" && assets === undefined;
        return bare ? new Archive({ ...value.fields, assets: {} }) : value;
    }
    return value;
}

function settleAll(properties: PropertyMap): PropertyMap {
    return Object.fromEntries(Object.entries(properties).map(([name, value]) => [name, settle(value)]));
}

/** The stand-in for the official command plug-in 1.2.1: same answers, same state, same words. */
export class CommandProvider implements Provider {
    readonly version = VERSION;

    handshake(): Abilities {
        return { ...ABILITIES, acceptsByteString: true };
    }

    checkConfig({ news }: CheckRequest): CheckResult {
        return { inputs: { ...news, ...FRAMEWORK } };
    }

    configure(): Abilities {
        return { ...ABILITIES, supportsPreview: true };
    }

    check({ type, news }: CheckRequest): CheckResult {
        const failures = complaints(news, shapeOf(type));
        if (type === "command:remote:CopyToRemote") {
            failures.push(...sourceComplaints(news.source));
        }
        return { inputs: hideSecrets(news), failures };
    }

    diff({ type, olds, news, ignoreChanges }: DiffRequest): DiffResult {
        const ignored = Object.fromEntries(ignoreChanges.map((name) => [name, olds[name] ?? null]));
        return diff(olds, { ...news, ...ignored }, Object.keys(shapeOf(type).fields));
    }

    async create(request: CreateRequest, context: Context): Promise<CreateResult> {
        const { type, properties, preview } = request;
        shapeOf(type);
        const hex = randomBytes(4).toString("hex");
        if (type === "command:remote:CopyToRemote") {
            if (!preview) {
                await copy(properties, request.timeout, context);
            }
            return { id: preview ? "" : hex, properties: settleAll(properties) };
        }
        const outputs = preview
            ? { stdout: UNKNOWN, stderr: UNKNOWN }
            : await run(type, properties, properties.create, { stdout: "", stderr: "" }, request.timeout, context);
        return { id: `${request.name}${hex}`, properties: { ...settleAll(properties), ...outputs } };
    }

    async update(request: UpdateRequest, context: Context): Promise<PropertyMap> {
        const { type, olds, news, preview } = request;
        const shape = shapeOf(type);
        if (type === "command:remote:CopyToRemote") {
            const moved = !same(reveal(olds.remotePath ?? null), reveal(news.remotePath ?? null));
            if (!preview && (moved || !same(reveal(olds.source ?? null), reveal(news.source ?? null)))) {
                await copy(news, request.timeout, context);
            }
            return settleAll(news);
        }
        const kept = previous(olds);
        if (!preview) {
            const command = news.update ?? news.create;
            return { ...settleAll(news), ...(await run(type, news, command, kept, request.timeout, context)) };
        }
        const changed = Object.keys(shape.fields).some(
            (name) => hasUnknown(news[name]) || !same(olds[name] ?? null, news[name] ?? null),
        );
        const foretold = Object.keys(kept).map((name) => [name, changed ? UNKNOWN : (kept[name] ?? null)]);
        return { ...settleAll(news), ...Object.fromEntries(foretold) };
    }

    async delete({ type, properties, timeout }: DeleteRequest, context: Context): Promise<void> {
        shapeOf(type);
        if (type !== "command:remote:CopyToRemote") {
            await run(type, properties, properties.delete, previous(properties), timeout, context);
        }
    }

    read({ id, properties, inputs }: ReadRequest): ReadResult {
        return { id, properties: settleAll(properties), inputs: settleAll(inputs) };
    }

    async invoke({ token, args }: InvokeRequest, context: Context): Promise<InvokeResult> {
        if (token !== "command:local:run") {
            throw new Error(`the command plug-in has no function ${token}; it has command:local:run`);
        }
        const failures = complaints(args, RUN);
        if (failures.length > 0) {
            return { result: {}, failures };
        }
        if (hasUnknown(args)) {
            return { result: { ...args, stdout: UNKNOWN, stderr: UNKNOWN } };
        }
        const outputs = await run("command:local:Command", args, args.command, { stdout: "", stderr: "" }, 0, context);
        return { result: { ...args, ...outputs } };
    }
}

function sourceComplaints(source: Value | undefined): CheckFailure[] {
    const value = reveal(source ?? null);
    if (value instanceof Unknown || source === undefined) {
        return [];
    }
    if (value instanceof Asset) {
        const usable = text(value.fields.path) || typeof value.fields.text === "string";
        const reason = "asset must be a path-based file asset or a text asset";
        return usable ? [] : [{ property: "asset", reason }];
    }
    if (value instanceof Archive) {
        const reason = "archive must be a path to a file or directory";
        return text(value.fields.path) ? [] : [{ property: "archive", reason }];
    }
    return [{ property: "asset", reason: "either asset or archive must be set" }];
}

/** The outputs of the run before, in plain: the engine marks secrets of the state again by itself. */
function previous(state: PropertyMap): Outputs {
    const kept: Outputs = { stdout: "", stderr: "" };
    for (const name of OUTPUTS) {
        const value = state[name];
        if (value !== undefined && value !== null) {
            kept[name] = settle(reveal(value));
        }
    }
    return kept;
}

async function copy(inputs: PropertyMap, timeout: number, context: Context): Promise<void> {
    const plain = revealMap(inputs);
    const source = plain.source;
    const fields = source instanceof Asset || source instanceof Archive ? source.fields : {};
    const sourcePath = text(fields.path) || undefined;
    await copyToRemote(
        { connection: targetOf(plain), sourcePath, text: text(fields.text), remotePath: text(plain.remotePath) ?? "" },
        withTimeout(context.signal, timeout),
        context,
    );
}

/** Runs a command with a resource's inputs; without one nothing is done and the previous outputs stay. */
async function run(
    type: string,
    inputs: PropertyMap,
    wanted: Value | undefined,
    before: Outputs,
    timeout: number,
    context: Context,
): Promise<Outputs> {
    const command = text(reveal(wanted ?? null));
    if (command === undefined) {
        return before;
    }
    const plain = revealMap(inputs);
    const signal = withTimeout(context.signal, timeout);
    const passed: [string, string][] = [];
    for (const [name, value] of [
        ["PULUMI_COMMAND_STDOUT", text(before.stdout)],
        ["PULUMI_COMMAND_STDERR", text(before.stderr)],
    ] as const) {
        if (value && plain.addPreviousOutputInEnv !== false) {
            passed.push([name, value]);
        }
    }
    const common = {
        command,
        // A command that is a secret is not shown, though the official plug-in does.
        shown: wanted instanceof Secret ? '"[secret]"' : quote(command),
        stdin: text(plain.stdin),
        logging: text(plain.logging) as Logging,
    };
    const environment = variables(plain.environment);
    const optional = Object.fromEntries(passed);
    if (type === "command:remote:Command") {
        const remote = { ...common, environment, optional, connection: targetOf(plain) };
        return runRemotely(remote, signal, context);
    }
    const result = await runLocally(
        {
            ...common,
            environment: { ...environment, ...optional },
            interpreter: texts(plain.interpreter),
            dir: text(plain.dir),
            assetPaths: texts(plain.assetPaths),
            archivePaths: texts(plain.archivePaths),
        },
        signal,
        context,
    );
    return { ...before, ...result };
}
