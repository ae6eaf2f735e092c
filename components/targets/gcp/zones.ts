import type { GcpSettings } from "./settings";

/** Two regions have no zone a: https://cloud.google.com/compute/docs/regions-zones */
const zoneLetters: Readonly<Record<string, string>> = { "us-east1": "bcd", "europe-west1": "bcd" };

/** Zones that the machines are spread over. */
export function zonesOf(gcp: GcpSettings): readonly string[] {
    return gcp.zones ?? [...(zoneLetters[gcp.region] ?? "abc")].map((letter) => `${gcp.region}-${letter}`);
}

/**
 * The zone of a worker: in turn by the number at the end of its name. It depends only on the name, so a worker that
 * comes or goes moves no other one.
 */
export function zoneOf(worker: string, zones: readonly string[]): string {
    const number = /\d+$/.exec(worker)?.[0];
    const turn = number ? Number(number) - 1 : [...worker].reduce((sum, letter) => sum + letter.charCodeAt(0), 0);
    return zones[Math.max(turn, 0) % zones.length] ?? "";
}
