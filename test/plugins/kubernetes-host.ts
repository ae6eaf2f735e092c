import { KubernetesProvider } from "../../plugins/kubernetes/provider";
import { decode, encode, type PropertyMap } from "../../plugins/shared/properties";
import { type Context, InitError } from "../../plugins/shared/provider";
import { Host, type Json, type JsonMap } from "./shared/harness";

/** A configured provider: behind its gRPC service, and by itself where an error's details matter. */
export interface ConfiguredHost {
    host: Host;
    provider: KubernetesProvider;
    abilities: object;
}

/** A context that keeps what is said. */
export function quietContext(): Context & { lines: string[] } {
    const lines: string[] = [];
    const keep = async (line: string): Promise<void> => void lines.push(line);
    return {
        lines,
        signal: new AbortController().signal,
        log: (severity, message) => keep(`${severity}: ${message}`),
        status: (message, severity) => keep(severity === undefined ? message : `${severity}: ${message}`),
    };
}

/** Configures a provider as the engine does, with arguments by their short names, and serves it. */
export async function serveConfigured(settings: Record<string, string>): Promise<ConfiguredHost> {
    const provider = new KubernetesProvider();
    const variables = Object.fromEntries(
        Object.entries(settings).map(([key, value]) => [`kubernetes:config:${key}`, value]),
    );
    const abilities = await provider.configure({ variables, args: {} }, quietContext());
    return { host: await Host.start(provider), provider, abilities };
}

/** A resource as the engine names it: type such as core/v1:Pod. */
export function resource(type: string, name: string): { urn: string; type: string; name: string } {
    const token = `kubernetes:${type}`;
    return { urn: `urn:pulumi:dev::test::${token}::${name}`, type: token, name };
}

/** The wire's form of property values. */
export function properties(wire: Json): PropertyMap {
    return decode(wire) as PropertyMap;
}

/** Creates an object that does not become what it should, and returns what would enter the state. */
export async function failedCreate(
    provider: KubernetesProvider,
    request: JsonMap,
    context = quietContext(),
): Promise<{ message: string; reasons: string[]; id: string; state: JsonMap; lines: string[] }> {
    const { urn, type, name, timeout } = request;
    const call = { urn: String(urn), type: String(type), name: String(name), timeout: Number(timeout), preview: false };
    const error = await provider.create({ ...call, properties: properties(request.properties ?? {}) }, context).then(
        () => new Error("the create was expected to fail"),
        (reason: unknown) => reason,
    );
    if (!(error instanceof InitError)) {
        throw error;
    }
    const { id, reasons } = error.state;
    return {
        message: error.message,
        reasons,
        id,
        state: encode(error.state.properties) as JsonMap,
        lines: context.lines,
    };
}
