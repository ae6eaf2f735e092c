import { parse } from "smol-toml";

/**
 * What differs between two effective configurations (`containerd config dump`) beside the tables of the handlers and the
 * list of imported files: "PATH: BEFORE -> AFTER", one for each value.
 */
export function wantedDifference(
    before: string,
    after: string,
    handlers: readonly { readonly name: string }[],
): string[] {
    const values = (text: string) => {
        const found = new Map<string, string>();
        const visit = (value: unknown, keys: readonly string[]) => {
            const [name = ""] = keys.slice(keys.indexOf("runtimes") + 1);
            if (
                (keys[0] === "imports" && keys.length === 1) ||
                (keys.includes("runtimes") && handlers.some((one) => one.name === name))
            ) {
                return;
            }
            if (typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Date)) {
                for (const [key, inner] of Object.entries(value)) {
                    visit(inner, [...keys, key]);
                }
            } else {
                found.set(keys.join("."), JSON.stringify(value));
            }
        };
        visit(parse(text), []);
        return found;
    };
    const [then, now] = [values(before), values(after)];
    return [...new Set([...then.keys(), ...now.keys()])]
        .filter((key) => then.get(key) !== now.get(key))
        .map((key) => `${key}: ${then.get(key) ?? "nothing"} -> ${now.get(key) ?? "nothing"}`);
}
