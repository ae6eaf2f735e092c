import { containers, podSpec, podSpecs } from "../pods";
import type { ResourceRule } from "../rule";
import { at, shown, unknown, type Value } from "../values";

const commands = ["command:local:Command", "command:remote:Command"];

/** Packages that come with a repository of one pinned minor version, whose business their exact version is. */
const ofTheRepository = ["cri-tools", "kubernetes-cni"];

/** Whether an image, NAME[:TAG][@DIGEST], has a digest or a tag that stays. NAME may hold a port. */
function isPinned(image: string): boolean {
    const [name = "", digest] = image.split("@");
    const tag = /:([\w.-]+)$/.exec(name)?.[1];
    return digest === undefined ? tag !== undefined && tag !== "latest" : /^sha256:[0-9a-f]{64}$/.test(digest);
}

/** Constants of a script that say what to install, as components/remoteStep.ts writes them. */
function versions(script: string): { path: string; name: string; version: string }[] {
    return [...script.matchAll(/^readonly (PACKAGES|\w+_VERSION)='([^']*)'$/gm)].flatMap(([, path = "", value = ""]) =>
        path === "PACKAGES"
            ? value.split("\n").map((line) => {
                  const [name = "", version = ""] = line.split("=");
                  return { path, name, version };
              })
            : [{ path, name: path, version: value }],
    );
}

export const pinnedVersions: ResourceRule = {
    name: "pinned-versions",
    description: "What is installed or run has a version that stays the same.",
    types: [...commands, ...Object.keys(podSpecs)],
    check({ type, name, props }, judge) {
        const known = (value: Value): string | undefined => {
            if (value === unknown) {
                judge.undecided(name);
            }
            return typeof value === "string" ? value : undefined;
        };
        if (commands.includes(type)) {
            for (const { path, name: what, version } of versions(known(at(props, "stdin")) ?? "")) {
                if (/^(\*|latest)?$/.test(version) && !ofTheRepository.includes(what)) {
                    judge.violation(
                        `stdin: ${path} has ${what} of version ${shown(version)}; allowed: a version, such as 1.36.5-*`,
                    );
                }
            }
            return;
        }
        const spec = podSpec(type, props);
        for (const { path, container } of containers(spec)) {
            const image = known(at(container, "image"));
            if (image !== undefined && !isPinned(image)) {
                judge.violation(
                    `${path}.image is "${image}"; allowed: a tag other than latest, or a digest (@sha256:...)`,
                );
            }
        }
    },
};
