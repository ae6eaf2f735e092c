/** The security context of the pod. */
export declare const podContext: {
    readonly runAsNonRoot: true;
    readonly runAsUser: number;
    readonly seccompProfile: { readonly type: "RuntimeDefault" };
};

/** The security context of each of its containers. */
export declare const containerContext: {
    readonly allowPrivilegeEscalation: false;
    readonly capabilities: { drop: string[] };
};

/** For a container that idles. */
export declare const resources: {
    readonly requests: Record<string, string>;
    readonly limits: Record<string, string>;
};

/** Where such a container may write. */
export declare const scratch: {
    readonly mount: { readonly name: string; readonly mountPath: string };
    readonly volume: { readonly name: string; readonly emptyDir: object };
};
