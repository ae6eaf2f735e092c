import { isDeepStrictEqual } from "node:util";
import { isMap, type PropertyMap, reveal, Unknown, type Value } from "../shared/properties";
import type { CheckFailure, CheckRequest, CheckResult, DiffRequest, DiffResult } from "../shared/provider";
import { activeCluster, loadKubeconfig } from "./kubeconfig";

/** The provider's settings; each is an argument of k8s.Provider or an environment variable. */
export interface Settings {
    /** Contents or path; "": the ambient configuration. */
    kubeconfig: string;
    context: string;
    cluster: string;
    /** Namespace of objects that name none; "": the kubeconfig's, else `default`. */
    namespace: string;
    upsertExistingObjects: boolean;
    deleteUnreachable: boolean;
    skipUpdateUnreachable: boolean;
    enableConfigMapMutable: boolean;
    enableSecretMutable: boolean;
    /** Take over fields that others manage; undefined: decided by each object's annotation. */
    patchForce: boolean | undefined;
}

/** Arguments that would need a part of the official provider which the stand-in does not have. */
const REFUSED: Record<string, { when: (value: string) => boolean; reason: string }> = {
    renderYamlToDirectory: {
        when: (value) => value !== "",
        reason: "the stand-in plug-in does not render YAML to a directory; use the official kubernetes plug-in for that",
    },
    enableServerSideApply: {
        when: (value) => value === "false",
        reason: "the stand-in plug-in works by server-side apply only; remove the argument or set it to true",
    },
};

/** Reads the settings from what Configure sends. */
export function readSettings(variables: Record<string, string>, env: NodeJS.ProcessEnv = process.env): Settings {
    const given = (key: string): string | undefined => variables[`kubernetes:config:${key}`];
    const flag = (key: string, variable: string): boolean => (given(key) ?? env[variable]) === "true";
    const force = given("enablePatchForce") ?? env.PULUMI_K8S_ENABLE_PATCH_FORCE;
    return {
        kubeconfig: given("kubeconfig") ?? "",
        context: given("context") ?? "",
        cluster: given("cluster") ?? "",
        namespace: given("namespace") ?? "",
        upsertExistingObjects: flag("upsertExistingObjects", "PULUMI_K8S_UPSERT_EXISTING_OBJECTS"),
        deleteUnreachable: flag("deleteUnreachable", "PULUMI_K8S_DELETE_UNREACHABLE"),
        skipUpdateUnreachable: flag("skipUpdateUnreachable", "PULUMI_K8S_SKIP_UPDATE_UNREACHABLE"),
        enableConfigMapMutable: flag("enableConfigMapMutable", "PULUMI_K8S_ENABLE_CONFIGMAP_MUTABLE"),
        enableSecretMutable: flag("enableSecretMutable", "PULUMI_K8S_ENABLE_SECRET_MUTABLE"),
        patchForce: force === undefined ? undefined : force === "true",
    };
}

function plainText(value: Value | undefined): string {
    const bare = value === undefined ? undefined : reveal(value);
    return typeof bare === "string" || typeof bare === "boolean" ? String(bare) : "";
}

function strictFailures({ urn, news }: CheckRequest): CheckFailure[] {
    const failures: CheckFailure[] = [];
    if (/::default(_|$)/.test(urn)) {
        failures.push({ property: "", reason: "strict mode prohibits default provider" });
    }
    for (const property of ["kubeconfig", "context"]) {
        const value = news[property];
        if (!(value instanceof Unknown) && plainText(value) === "") {
            failures.push({ property, reason: `strict mode requires Provider "${property}" argument` });
        }
    }
    return failures;
}

/** CheckConfig: the arguments pass as they are; strict mode and what the stand-in lacks fail here, before anything is made. */
export function checkConfig(request: CheckRequest): CheckResult {
    const { news } = request;
    const failures = Object.entries(REFUSED)
        .filter(([property, { when }]) => when(plainText(news[property])))
        .map(([property, { reason }]) => ({ property, reason }));
    if (plainText(news.strictMode) === "true") {
        failures.push(...strictFailures(request));
    }
    return { inputs: news, failures };
}

function changedKeys(olds: PropertyMap, news: PropertyMap): string[] {
    const keys = new Set([...Object.keys(olds), ...Object.keys(news)]);
    return [...keys].filter((key) => !isDeepStrictEqual(bare(olds[key]), bare(news[key]))).sort();
}

function bare(value: Value | undefined): Value | undefined {
    return value === undefined || value === null ? undefined : reveal(value);
}

const CLUSTER_KEYS = ["kubeconfig", "context", "cluster"];

async function otherCluster(olds: PropertyMap, news: PropertyMap): Promise<boolean> {
    const [before, after] = await Promise.all(
        [olds, news].map(async (properties) => {
            const given = bare(properties.kubeconfig);
            const contents = isMap(given) ? JSON.stringify(given) : plainText(given);
            const overrides = { context: plainText(properties.context), cluster: plainText(properties.cluster) };
            return contents === "" ? undefined : activeCluster(await loadKubeconfig(contents), overrides);
        }),
    );
    return before !== undefined && after !== undefined && !isDeepStrictEqual(before, after);
}

/**
 * DiffConfig. A cluster has no identity of its own, so the provider, and with it every object, is replaced when the active
 * cluster of the kubeconfig changes or cannot be known; a `clusterIdentifier` decides instead where there is one.
 */
export async function diffConfig({ olds, news }: DiffRequest): Promise<DiffResult> {
    const diffs = changedKeys(olds, news);
    if (diffs.length === 0) {
        return { changes: "DIFF_NONE" };
    }
    const before = bare(olds.clusterIdentifier);
    const after = bare(news.clusterIdentifier);
    if (after !== undefined && isDeepStrictEqual(before, after)) {
        const unknown = CLUSTER_KEYS.find((key) => bare(news[key]) instanceof Unknown);
        return { changes: "DIFF_SOME", diffs: unknown === undefined ? diffs : [unknown] };
    }
    const replaces = before !== undefined && after !== undefined ? ["clusterIdentifier"] : [];
    const unknown = CLUSTER_KEYS.find((key) => bare(news[key]) instanceof Unknown);
    if (unknown !== undefined) {
        return { changes: "DIFF_SOME", diffs: [unknown], replaces: [...replaces, unknown] };
    }
    if (await otherCluster(olds, news)) {
        replaces.push(...CLUSTER_KEYS.filter((key) => diffs.includes(key)));
    }
    return { changes: "DIFF_SOME", diffs, replaces };
}
