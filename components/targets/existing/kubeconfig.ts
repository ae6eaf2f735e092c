import * as fs from "node:fs";
import * as path from "node:path";
import { load } from "js-yaml";

/** Fields that name a file, and those that hold the same in the text (https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/). */
const embedded = {
    cluster: { "certificate-authority": "certificate-authority-data" },
    user: { "client-certificate": "client-certificate-data", "client-key": "client-key-data", tokenFile: "token" },
} as const;

type Fields = Readonly<Record<string, unknown>>;

/** An entry of a list of a kubeconfig, with the fields that it is about. */
interface Named {
    readonly name: string;
    readonly [field: string]: unknown;
}

/** A problem with the kubeconfig: the rest of a sentence that begins with the setting. */
export class KubeconfigError extends Error {}

/**
 * A kubeconfig as a stack keeps it: one context alone, without other clusters' credentials, and all that it points at in the
 * text itself, so that it works elsewhere.
 *
 * @param text YAML or JSON
 * @param context one of its contexts; default: its current one
 * @param directory of its file, for relative paths
 * @returns the same text where nothing has to be changed, else JSON
 * @throws {KubeconfigError} all that is wrong with it
 */
export function ownKubeconfig(
    text: string,
    { context, directory = "." }: { context?: string; directory?: string },
): string {
    const config = parse(text);
    const lists = {
        contexts: listOf(config, "contexts"),
        clusters: listOf(config, "clusters"),
        users: listOf(config, "users"),
    };
    const wanted = context ?? config["current-context"];
    const chosen = lists.contexts.find(({ name }) => name === wanted);
    if (chosen === undefined) {
        const known = lists.contexts.map(({ name }) => name).join(", ") || "none";
        throw new KubeconfigError(
            `has no context ${JSON.stringify(wanted ?? "")}; its contexts are ${known}. Set existing.context to one of them`,
        );
    }
    const complaints: string[] = [];
    const content = (field: string, file: string, isText: boolean) => {
        try {
            const bytes = fs.readFileSync(path.resolve(directory, file));
            return isText ? bytes.toString("utf8").trim() : bytes.toString("base64");
        } catch (error) {
            const { code } = error as NodeJS.ErrnoException;
            complaints.push(`names the file "${file}" as ${field}, which cannot be read (${code})`);
            return undefined;
        }
    };
    const pick = (kind: "cluster" | "user") => {
        const name = fieldsOf(chosen, "context")[kind];
        const found = lists[`${kind}s`].find((one) => one.name === name);
        if (found === undefined) {
            complaints.push(
                `names the ${kind} ${JSON.stringify(name ?? "")} in its context ${chosen.name}, which it does not hold`,
            );
            return [];
        }
        const given = fieldsOf(found, kind);
        const fields: Record<string, unknown> = {};
        for (const [key, value] of Object.entries(given)) {
            const holder = (embedded[kind] as Record<string, string>)[key];
            if (typeof value === "string" && value !== "" && holder !== undefined) {
                // As client-go decides where both are given: the data of a certificate or key, but the file of a token.
                if (holder === "token" || !given[holder]) {
                    fields[holder] = content(key, value, holder === "token");
                }
            } else if (key === "server" && typeof value === "string") {
                fields[key] = value.replace(/\/+$/, "");
            } else if (key === "exec" && commandOf(value)?.includes("/")) {
                // One without a slash is looked for in PATH.
                fields[key] = { ...(value as object), command: path.resolve(directory, commandOf(value) ?? "") };
            } else if (key !== "token" || !given.tokenFile) {
                fields[key] = value;
            }
        }
        return [{ ...found, [kind]: fields }];
    };
    const own = {
        ...config,
        "current-context": chosen.name,
        contexts: [chosen],
        clusters: pick("cluster"),
        users: pick("user"),
    };
    if (complaints.length > 0) {
        throw new KubeconfigError(complaints.join("; it "));
    }
    return JSON.stringify(own) === JSON.stringify(config) ? text : JSON.stringify(own);
}

function parse(text: string): Fields {
    let config: unknown;
    try {
        config = load(text);
    } catch (error) {
        // Its message shows lines of the text, which may hold a key.
        const { line } = (error as { mark?: { line?: number } }).mark ?? {};
        throw new KubeconfigError(`is not YAML${line === undefined ? "" : ` (line ${line + 1})`}`);
    }
    if (typeof config !== "object" || config === null || Array.isArray(config)) {
        throw new KubeconfigError("is not a kubeconfig: it holds no fields");
    }
    return config as Fields;
}

const listOf = (config: Fields, name: string) => (Array.isArray(config[name]) ? (config[name] as Named[]) : []);

const commandOf = (exec: unknown) => (exec as { command?: string } | null)?.command;

const fieldsOf = (entry: Named, kind: string) => (entry[kind] ?? {}) as Fields;
