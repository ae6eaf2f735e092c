import type { HostPodFacts } from "./evidence.cjs";

/** A row of the table: an attempt to leave a sandbox. */
export interface Attack {
    readonly name: string;
    /** What it does. */
    readonly tries: string;
    /** The technique or vulnerability that it stands for. */
    readonly stands: string;
    /** Where that is known from. */
    readonly source: string;
    /** What is seen in a sandbox that holds. */
    readonly inside: string;
    /** What is expected on the control, which has the same rights on the default runtime. */
    readonly control: string;
}

/** What the program in a pod says of an attempt. */
export interface Outcome {
    readonly name: string;
    /** Whether the kernel that answered let it happen. */
    readonly did: boolean;
    readonly saw: string;
    /** It took too long, or was killed from outside, so nobody knows. */
    readonly unanswered?: boolean;
    /** What was read where only the worker knows what is right. */
    readonly proof?: { readonly of: "marker" | "kernel"; readonly value: string };
}

export interface AttackResult {
    /** Whether it reached the worker. */
    readonly reached: boolean;
    /** An error, or what was reached, in a few words. */
    readonly saw: string;
}

export interface Attempt {
    readonly name: string;
    /** On the default runtime. */
    readonly control: AttackResult;
    /** By RuntimeClass. */
    readonly inside: Readonly<Record<string, AttackResult>>;
}

/** What scripts/on-host/attacks.ts prints. */
export interface AttackFacts {
    /** What the worker says of the pods: of the control, and by RuntimeClass of those in a sandbox. */
    readonly host: { readonly control: HostPodFacts; readonly inside: Readonly<Record<string, HostPodFacts>> };
    readonly attempts: readonly Attempt[];
}

/** "proves nothing": refused inside, and on the control too. */
export type AttackState = "refused" | "reached" | "proves nothing";

export interface JudgedAttacks {
    readonly attempts: readonly (Partial<Attempt> &
        Pick<Attempt, "name" | "inside"> & { readonly state: AttackState })[];
    /** Whether none got through, on pods that are what they should be. */
    readonly passed: boolean;
    readonly detail: string;
}

export const corpus: readonly Attack[];
/** Whether attempts are made: on machines that the program makes here, unless the setting says otherwise. */
export function attacksIn(settings: { readonly attacks: string; readonly target: string }): boolean;
/** What an attempt comes to, by what was seen on both sides. */
export function stateOf(attempt: Pick<Attempt, "control" | "inside">): AttackState;
export function resultOf(
    outcome: Outcome | undefined,
    worker: Readonly<Record<"marker" | "kernel", string>>,
): AttackResult;
export function judge(facts: AttackFacts, rows?: readonly Pick<Attack, "name">[]): JudgedAttacks;
