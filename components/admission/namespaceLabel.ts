import { project } from "../names";

/** A label of namespaces. */
export interface NamespaceLabel {
    readonly key: string;
    readonly value: string;
}

/** The label of namespaces whose pods must be sandboxed, where nobody says otherwise. */
export const untrusted: NamespaceLabel = { key: `${project}/untrusted`, value: "true" };
