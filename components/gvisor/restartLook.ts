/** What a look at a worker before a change has found, as the verb "inspect" of a script prints it. */
export interface RestartLook {
    /** Why the change will restart containerd, as sentences; empty where it will not. */
    readonly restart: readonly string[];
    /** When it was looked at, in ISO 8601. */
    readonly at: string;
}
