// The settings of a stack, as far as this command line has to know them; the program judges them all.
import { join } from "node:path";
import { FAILSAFE_SCHEMA, loadAll, YAMLException } from "js-yaml";
import { stackDirectory } from "./environment.ts";
import { Failure } from "./failure.ts";
import { cacheDir, projectName, readOr, root, versions } from "./project.ts";

type Values = Readonly<Record<string, unknown>>;

/** Path of the file that holds the settings of a stack. */
export const settingsFile = (stack: string): string => join(root, `Pulumi.${stack}.yaml`);

/** What a YAML file holds; nothing where there is none. Every scalar is a text: as a number, 20261116.0 would lose its end. */
export function yamlIn(file: string): Values {
    try {
        const [document] = loadAll(readOr(file, ""), { schema: FAILSAFE_SCHEMA });
        return (document || {}) as Values;
    } catch (error) {
        if (!(error instanceof YAMLException)) {
            throw error;
        }
        // Not its message, which shows the lines around: they may hold a secret.
        throw new Failure(`${file} is not YAML: line ${(error.mark?.line ?? 0) + 1}, ${error.reason}.`, {
            next: "correct it, then run again",
        });
    }
}

const configIn = (file: string): Values => (yamlIn(file).config || {}) as Values;

/** One setting of a stack as its file has it: a text, or what is below it. */
export function written(stack: string, key: string): unknown {
    const config = configIn(settingsFile(stack));
    return config[`${projectName}:${key}`] ?? config[key];
}

let declared: Values | undefined;

/** One plain setting of a stack: as its file has it, else the default of Pulumi.yaml, else an empty text. */
export function setting(stack: string, key: string): string {
    declared ??= configIn(join(root, "Pulumi.yaml"));
    const { default: fallback } = (declared[key] ?? {}) as { readonly default?: unknown };
    return (
        [written(stack, key), fallback].find((value): value is string => typeof value === "string" && value !== "") ??
        ""
    );
}

/** Version of containerd that the program gives the machines of a stack. */
export const containerdOf = (stack: string): string =>
    setting(stack, "containerdVersion") || versions.containerd.version;

/** True if the stack's machines are made on this host. */
export const isLocal = (stack: string): boolean => setting(stack, "target") === "local";

/** Names of the workers as far as the settings can be read. */
export function workerNames(stack: string): string[] {
    if (setting(stack, "target") === "existing") {
        return Object.keys((written(stack, "existing") as { readonly workers?: object } | undefined)?.workers ?? {});
    }
    const workers = setting(stack, "workers");
    const names = /^\d{1,2}$/.test(workers)
        ? Array.from({ length: Number(workers) }, (_, index) => `worker-${index + 1}`)
        : workers.split(",");
    return names.map((name) => name.trim());
}

/** Names of the local machines as far as the settings can be read. */
export const machineNames = (stack: string): string[] => ["control-plane", ...workerNames(stack)];

/** Environment of scripts/local/*.sh and mirror/mirror.sh. */
export function machineEnvironment(stack: string, env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
    return {
        ...env,
        STACK_DIR: stackDirectory(stack),
        CACHE_DIR: cacheDir,
        MIRROR_DIR: join(cacheDir, "mirror"),
        BRIDGE: setting(stack, "bridge"),
        RANGE: setting(stack, "addressRange"),
    };
}
