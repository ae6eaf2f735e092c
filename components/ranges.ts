import { isIPv4 } from "node:net";
import { IPv4 } from "ipaddr.js";
import { podRange, serviceRange } from "./names";

/** An IPv4 range such as 10.77.0.0/24 in its parts, `network` without bits of a host; undefined where the text is none. */
export function rangeOf(text: string): { readonly bits: number; readonly network: string } | undefined {
    const [, address = "", digits = ""] = /^([\d.]+)\/(\d{1,2})$/.exec(text) ?? [];
    const bits = Number(digits);
    return isIPv4(address) && bits <= 32
        ? { bits, network: `${IPv4.networkAddressFromCIDR(text).toString()}/${bits}` }
        : undefined;
}

/** Whether two IPv4 ranges have addresses in common. */
function overlap(one: string, other: string): boolean {
    const [[a, bits], [b, otherBits]] = [IPv4.parseCIDR(one), IPv4.parseCIDR(other)];
    return a.match(b, Math.min(bits, otherBits));
}

/** Whether an IPv4 range is one of those that no router of the Internet knows (RFC 1918). */
export function isPrivate(range: string): boolean {
    return ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"].some((all) => overlap(range, all));
}

/** Whether an IPv4 range has nothing in common with those of pods and services in the clusters that the program makes. */
export function isOutsideCluster(range: string): boolean {
    return !overlap(range, podRange) && !overlap(range, serviceRange);
}
