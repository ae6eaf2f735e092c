// Prints the sources document: where machines get packages and images.
// usage: sources.ts --kind mirror|upstream [--index FILE] [--base-url URL] [--fingerprint F]
//                    [--kubernetes V] [--containerd V] [--gvisor V]
// --index is that of a mirror on this machine; --fingerprint that of the key of a mirror elsewhere.
import { readdirSync, readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { mirrorSources, upstreamSources } from "../components/sources.cjs";
import type { Index } from "./index.ts";

const { values } = parseArgs({
    options: {
        kind: { type: "string" },
        index: { type: "string" },
        "base-url": { type: "string", default: "file:///srv/mirror" },
        fingerprint: { type: "string" },
        kubernetes: { type: "string" },
        containerd: { type: "string" },
        gvisor: { type: "string" },
    },
});
const settings = {
    kubernetesVersion: values.kubernetes,
    containerdVersion: values.containerd,
    gvisorVersion: values.gvisor,
};

function fail(message: string): never {
    console.error(`mirror: ${message}`);
    process.exit(1);
}

const matches = (pattern: string, version: string) =>
    new RegExp(`^${pattern.replace(/[.+~]/g, "\\$&").replaceAll("*", ".*")}$`).test(version);

/** The exact versions that a mirror on this machine holds. */
function exact(patterns: Readonly<Record<string, string>>, { packages }: Index): Record<string, string> {
    const found = Object.entries(patterns).map(([name, pattern]) => {
        const { default: usual = "", versions = [] } = packages[name] ?? {};
        return { name, pattern, versions, version: [usual, ...versions].find((one) => matches(pattern, one)) };
    });
    const missing = found.filter(({ version }) => version === undefined);
    if (missing.length > 0) {
        // Recipes of further versions, which are built when somebody asks for one.
        const recipes = readdirSync(new URL("build", import.meta.url)).filter((name) => /-\d/.test(name));
        fail(
            "the mirror does not hold what is asked for; empty that setting (nodes in use keep their Kubernetes), or " +
                `add a recipe for it to mirror/build (README.md there). There are ${recipes.join(", ")}:\n` +
                missing
                    .map(({ name, pattern, versions }) => `  - ${name} ${pattern}: it holds ${versions.join(", ")}`)
                    .join("\n"),
        );
    }
    return Object.fromEntries(found.map(({ name, version = "" }) => [name, version]));
}

function mirror() {
    const index: Index | undefined = values.index && JSON.parse(readFileSync(values.index, "utf8"));
    const fingerprint = values.fingerprint?.toUpperCase() ?? index?.fingerprint ?? "";
    if (!/^[0-9A-F]{40}$/.test(fingerprint)) {
        fail(`the fingerprint is "${fingerprint}"; it has to be 40 hexadecimal digits`);
    }
    const sources = mirrorSources(values["base-url"], fingerprint, settings);
    return index === undefined ? sources : { ...sources, packages: exact(sources.packages, index) };
}

console.log(JSON.stringify(values.kind === "mirror" ? mirror() : upstreamSources(settings)));
