/** One way to run sandboxes on a worker: a runtime handler of containerd and the class by which pods ask for it. */
export interface Handler {
    /** Name of the handler in containerd and in RuntimeClass.handler: a DNS label. */
    readonly name: string;
    /** Name of its RuntimeClass. */
    readonly runtimeClass: string;
    /**
     * Flags of runsc by name without dashes, for example { platform: "systrap", "debug-log": "/var/log/runsc/%ID%/" }:
     * https://github.com/google/gvisor/blob/master/runsc/config/flags.go
     */
    readonly options: Readonly<Record<string, string>>;
}
