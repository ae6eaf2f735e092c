/**
 * A kubeconfig for the operator, who reaches the API server at another address than the nodes do.
 *
 * The certificate is still checked in full: it is asked for by the name `kubernetes`, which kubeadm puts into every
 * API server's certificate, so the address need not be in it and may change.
 *
 * @param kubeconfig as kubeadm writes it
 * @param endpoint HOST:PORT
 */
export function operatorKubeconfig(kubeconfig: string, endpoint: string): string {
    const server = /^( *)server: .*$/m;
    if (!server.test(kubeconfig)) {
        throw new Error("the kubeconfig of the control plane names no server");
    }
    return kubeconfig.replace(
        server,
        (_, indent: string) => `${indent}server: https://${endpoint}\n${indent}tls-server-name: kubernetes`,
    );
}
