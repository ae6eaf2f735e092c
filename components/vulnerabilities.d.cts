export type Component = "gvisor" | "containerd" | "runc" | "kubernetes";

/** A row of vulnerabilities.json. */
export interface Row {
    readonly id: string;
    readonly component: Component;
    /** `from` is the first release that is affected, `fixed` the first that is not any more; without one there is no end. */
    readonly affected: readonly { readonly from?: string; readonly fixed?: string }[];
    /** A flag of runsc that opens it again on a release where it is fixed. */
    readonly option?: { readonly name: string; readonly values: readonly string[] };
    /** One sentence: who can do what. */
    readonly summary: string;
    readonly source: string;
}

/** A row that holds for a machine. */
export interface Vulnerability extends Pick<Row, "id" | "component" | "summary" | "source"> {
    readonly version: string;
    readonly fixed?: string;
    /** "NAME=VALUE" where the flag is what opens it. */
    readonly option?: string;
    readonly accepted: boolean;
}

type Flags = Readonly<Record<string, string>>;

export const known: readonly Row[];
export function compareVersions(a: string, b: string): number;
export function vulnerabilitiesIn(
    versions: Readonly<Partial<Record<Component, string>>>,
    more?: {
        readonly options?: readonly Flags[];
        readonly accepted?: readonly string[];
        readonly rows?: readonly Row[];
    },
): Vulnerability[];
export function safeFrom(component: Component, version: string, rows?: readonly Row[]): string | undefined;
export function sentenceOf(one: Vulnerability): string;
export function linesOf(found: readonly Vulnerability[]): string[];
