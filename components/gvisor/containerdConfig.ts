import * as path from "node:path";
import { parse } from "smol-toml";
import type { Handler } from "../contracts";
import { compareVersions } from "../vulnerabilities.cjs";
import { applyRoot, isSame, merged, parseConfig, withoutMarked } from "./configFile";
import { type ConfigPlan, type FoundConfig, refused, wantedHandlers } from "./configPlan";
import { appended } from "./containerd1";
import { dropInName, droppedIn } from "./dropIn";
import type { NodeFacts } from "./facts";

const criPlugins = ["cri", "io.containerd.grpc.v1.cri", "io.containerd.cri.v1.runtime", "io.containerd.cri.v1.images"];

/**
 * What to write so that containerd has these handlers beside all that it has. Pure; what it gives for a machine does not
 * change when it has been written there.
 */
export function planConfig({ containerd }: NodeFacts, handlers: readonly Handler[]): ConfigPlan {
    const { configPath, version, dropIns, effective } = containerd;
    const files = containerd.files.filter((file) => path.basename(file.path) !== dropInName);
    const parsed = files.map((file) => ({ file, ...parseConfig(file) }));
    const broken = parsed.flatMap(({ complaint }) => complaint ?? []);
    if (broken.length > 0) {
        return refused(configPath, broken);
    }
    const tables = parsed.map(({ file, table = {} }) => ({ path: file.path, table }));
    const off = tables.filter(
        ({ table: { disabled_plugins: disabled } }) =>
            Array.isArray(disabled) && disabled.some((plugin) => criPlugins.includes(String(plugin))),
    );
    if (off.length > 0) {
        return refused(configPath, [
            `${off.map((one) => one.path).join(", ")} switches containerd's CRI plug-in off (disabled_plugins), so kubelet ` +
                `cannot use it; take it out of that list and restart containerd`,
        ]);
    }
    const found = {
        configPath,
        text: withoutMarked(files.find((file) => file.path === configPath)?.text ?? ""),
        root: tables.find((one) => one.path === configPath)?.table ?? {},
        others: tables.filter((one) => one.path !== configPath),
    };
    const wanted = wantedHandlers(containerd, handlers);
    const plan =
        dropIns === "" && compareVersions(version, "2.0.0-alpha") < 0
            ? appended(found, wanted, effective)
            : droppedIn(found, wanted, dropIns);
    return plan.complaints.length > 0 ? plan : checked(plan, found);
}

/** To be safe: the new root file must be the old one plus what was wanted. */
function checked(plan: ConfigPlan, { configPath, text, root }: FoundConfig): ConfigPlan {
    const { head, tail } = plan.root;
    try {
        const added = merged(parse(head), parse(tail));
        if (isSame(parse(applyRoot(text, plan.root)), merged(root, added))) {
            return plan;
        }
    } catch (error) {
        return refused(configPath, [
            `${configPath} is written so that nothing can be added to it (${(error as Error).message.split("\n")[0]}); ` +
                `write its table plugins without inline tables`,
        ]);
    }
    return refused(configPath, [
        `${configPath} is written so that what is added would change other things; simplify it`,
    ]);
}
