/** What is measured in a pod of each class and in one of the default runtime. */
export interface CostKind {
    /** In plain words. */
    readonly title: string;
    readonly unit: string;
    /** Whether more is better. Default: false. */
    readonly more?: boolean;
    /** How it is taken; a function of whether TCP went to a third pod. */
    readonly how: string | ((peer: boolean) => string);
}

/** What the seccomp filters of a process leave of the kernel's system calls. */
export interface Filters {
    /** How many filters there are, and their instructions together. */
    readonly count: number;
    readonly instructions: number;
    readonly reachable: number;
    /** System calls that Linux numbers on the worker's architecture. */
    readonly of: number;
}

/** What the program in a pod says, as far as it is what it should be. */
export interface Measured {
    /** Whether TCP went to the third pod. */
    readonly peer: boolean;
    readonly costs: Readonly<Record<string, { readonly value: number } | { readonly failed: string }>>;
}

/** What the worker says of a pod. */
export interface ProcessFacts {
    /** What containerd runs it with, such as "io.containerd.runc.v2". */
    readonly runtime: string;
    readonly filters: Filters | { readonly unreadable: string };
}

export interface MeasuredPod extends ProcessFacts {
    /** Milliseconds from its creation until it ran. */
    readonly started: number;
    /** Bytes of its control group, at rest. */
    readonly memory: number;
    readonly measured: Measured;
    /** When it was measured, in milliseconds since 1970. */
    readonly at: number;
}

/** What scripts/on-host/surface.ts prints. */
export interface SurfaceFacts {
    /** Where the filters were read: "the worker", or "the worker's host". */
    readonly place: string;
    readonly control: MeasuredPod;
    /** A pod with the profile that containerd has for all. */
    readonly runtimeDefault: ProcessFacts;
    /** By RuntimeClass. */
    readonly inside: Readonly<Record<string, MeasuredPod>>;
}

/** What a process reaches of the kernel's system calls; without the numbers where its filters could not be read. */
export interface SystemCalls {
    /** "none", "2 with 517 instructions", or "unreadable: REASON". */
    readonly filter: string;
    readonly reachable?: number;
    readonly of?: number;
    readonly how: string;
}

/** What something costs in a sandbox and on the control; without the numbers where it could not be measured on both. */
export interface Cost {
    readonly inside?: number;
    readonly control?: number;
    /** How many times as much it costs in the sandbox: of what more is better, how many times less there is. */
    readonly ratio?: number;
    readonly unit: string;
    readonly how: string;
    /** Why it could not be measured. */
    readonly failed?: string;
}

/** The output of a worker, for a class. */
export interface ClassSurface {
    readonly systemCalls: Readonly<Record<"inside" | "control" | "runtimeDefault", SystemCalls>>;
    readonly costs: Readonly<Record<string, Cost>>;
}

export const costs: Readonly<Record<string, CostKind>>;
/** Whether a stack measures: on machines that the program makes here, unless the setting says otherwise. */
export function surfaceIn(settings: { readonly surface: string; readonly target: string }): boolean;
/** What the program in a pod has printed. Anything else than numbers above 0 and reasons is left out. */
export function measuredIn(text: string): Measured;
export function surfaceOf(facts: SurfaceFacts): Record<string, ClassSurface>;
