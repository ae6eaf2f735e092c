// docs/rbac.yaml: the rights that the preflight asks the API server for, as roles.
import { dump } from "js-yaml";
import { groups, type Right } from "../../scripts/on-host/rights.ts";

/** Rules of RBAC, as few as have the same verbs. */
function rulesOf(rights: readonly Right[]) {
    const verbsOf = new Map<string, string[]>();
    for (const [verb, resource, group = ""] of rights) {
        const key = `${group} ${resource}`;
        verbsOf.set(key, [...(verbsOf.get(key) ?? []), verb]);
    }
    return [...verbsOf].map(([key, verbs]) => {
        const [group = "", resource = ""] = key.split(" ");
        return { apiGroups: [group], resources: [resource], verbs };
    });
}

/** The roles as YAML, each with what it is for. */
export function roles(again: string): string {
    const texts = Object.entries(groups).map(([name, { for: purpose, inNamespace, rights }]) => {
        const role = {
            apiVersion: "rbac.authorization.k8s.io/v1",
            kind: "ClusterRole",
            metadata: { name: `runtime-sandboxes${name === "base" ? "" : `-${name}`}` },
            rules: rulesOf(rights),
        };
        const bind = inNamespace ? "Bind it with a RoleBinding there." : "Bind it with a ClusterRoleBinding.";
        return `# ${purpose}. ${bind}\n${dump(role, { flowLevel: 3, lineWidth: -1 })}`;
    });
    return `# Made from the code by \`${again}\`: change scripts/on-host/rights.ts, not this file.\n${texts.join("---\n")}`;
}
