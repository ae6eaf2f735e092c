import { isMap, type PropertyMap, reveal, Secret, Unknown, type Value } from "../shared/properties";
import type { CheckFailure } from "../shared/provider";

type Kind =
    | "string"
    | "float64"
    | "bool"
    | "[]string"
    | "map[string]string"
    | "[]interface {}"
    | "asset"
    | "connection";

interface Shape {
    /** The name by which the official plug-in's complaints call it. */
    type: string;
    fields: Record<string, Kind>;
    required: string[];
}

const LIFECYCLE: Record<string, Kind> = {
    triggers: "[]interface {}",
    create: "string",
    update: "string",
    delete: "string",
};

const BASE: Record<string, Kind> = {
    interpreter: "[]string",
    dir: "string",
    environment: "map[string]string",
    stdin: "string",
    assetPaths: "[]string",
    archivePaths: "[]string",
    addPreviousOutputInEnv: "bool",
    logging: "string",
};

const ENDPOINT: Record<string, Kind> = {
    user: "string",
    password: "string",
    host: "string",
    port: "float64",
    privateKey: "string",
    privateKeyPassword: "string",
    agentSocketPath: "string",
    dialErrorLimit: "float64",
    perDialTimeout: "float64",
    hostKey: "string",
};

const CONNECTION: Shape = {
    type: "remote.Connection",
    fields: { ...ENDPOINT, proxy: "connection" },
    required: ["host"],
};
const PROXY: Shape = { type: "remote.ProxyConnection", fields: ENDPOINT, required: ["host"] };

/** The inputs of each resource, by type token. */
export const RESOURCES: Record<string, Shape | undefined> = {
    "command:local:Command": { type: "local.CommandInputs", fields: { ...LIFECYCLE, ...BASE }, required: [] },
    "command:remote:Command": {
        type: "remote.CommandInputs",
        fields: {
            ...LIFECYCLE,
            connection: "connection",
            environment: "map[string]string",
            stdin: "string",
            addPreviousOutputInEnv: "bool",
            logging: "string",
        },
        required: ["connection"],
    },
    "command:remote:CopyToRemote": {
        type: "remote.CopyToRemoteInputs",
        fields: { connection: "connection", triggers: "[]interface {}", source: "asset", remotePath: "string" },
        required: ["connection", "source", "remotePath"],
    },
};

/** The arguments of local.run. */
export const RUN: Shape = { type: "local.RunInputs", fields: { ...BASE, command: "string" }, required: ["command"] };

/** What must never be seen of a connection; the connection as a whole is secret besides. */
const SECRETS = ["password", "privateKey", "privateKeyPassword"];

function kindOf(value: Value): string {
    if (Array.isArray(value)) {
        return "[]interface {}";
    }
    if (isMap(value)) {
        return "map[string]interface {}";
    }
    return { string: "string", number: "float64", boolean: "bool" }[typeof value as string] ?? "asset";
}

function fits(value: Value, kind: Kind): boolean {
    const got = kindOf(value);
    switch (kind) {
        case "connection":
            return isMap(value);
        case "asset":
            return true;
        case "[]string":
            return Array.isArray(value) && value.every((v) => typeof v === "string" || v instanceof Unknown);
        case "map[string]string":
            return isMap(value) && Object.values(value).every((v) => typeof v === "string" || v instanceof Unknown);
        default:
            return got === kind;
    }
}

/** What is wrong with inputs, in the words of the official plug-in; unknown values pass. */
export function complaints(inputs: PropertyMap, shape: Shape): CheckFailure[] {
    const failures: CheckFailure[] = [];
    const complain = (property: string, reason: string) => failures.push({ property, reason });
    for (const name of shape.required) {
        if (inputs[name] === undefined || inputs[name] === null) {
            complain(name, `Missing required field '${name}' on '${shape.type}'`);
        }
    }
    for (const [name, raw] of Object.entries(inputs)) {
        const kind = shape.fields[name];
        const value = reveal(raw);
        if (kind === undefined) {
            complain(name, `Unrecognized field '${name}' on '${shape.type}'`);
        } else if (value !== null && !(value instanceof Unknown)) {
            if (!fits(value, kind)) {
                const got = kindOf(value);
                complain(name, `Field '${name}' on '${shape.type}' must be a '${kind}'; got '${got}' instead`);
            } else if (kind === "connection" && isMap(value)) {
                failures.push(...complaints(value, name === "proxy" ? PROXY : CONNECTION));
            }
        }
    }
    return failures;
}

function secret(value: Value): Value {
    return value instanceof Secret ? value : new Secret(value);
}

function hideWithin(connection: Value): Value {
    if (connection instanceof Secret) {
        return new Secret(hideWithin(connection.value));
    }
    if (!isMap(connection)) {
        return connection;
    }
    const hidden: PropertyMap = {};
    for (const [name, value] of Object.entries(connection)) {
        hidden[name] = SECRETS.includes(name) ? secret(value) : name === "proxy" ? hideWithin(value) : value;
    }
    return hidden;
}

/** The inputs with the connection, and its key and passwords within, marked as secrets. */
export function hideSecrets(inputs: PropertyMap): PropertyMap {
    const { connection } = inputs;
    return connection === undefined ? inputs : { ...inputs, connection: secret(hideWithin(connection)) };
}
