const DECIMAL = ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"];
const BINARY = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
const PATTERN = /^([+-]?)(\d*)(?:\.(\d*))?(Ki|Mi|Gi|Ti|Pi|Ei|[numkMGTPE]?)$/;

function decimal(sign: string, digits: bigint, exponent: number): string {
    let value = digits;
    let power = exponent;
    while (value !== 0n && value % 10n === 0n) {
        value /= 10n;
        power++;
    }
    while (power % 3 !== 0) {
        value *= 10n;
        power--;
    }
    const suffix = DECIMAL[power / 3 + 3];
    return value === 0n ? "0" : suffix === undefined ? "" : `${sign}${value}${suffix}`;
}

/**
 * The canonical form of a resource quantity, as the API server stores it: "1000m" is "1", "1024Mi" is "1Gi". What is no
 * quantity, or one of a rare form (exponents, fractions of a byte), comes back as it is.
 *
 * Rules: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
 */
export function canonicalQuantity(quantity: string): string {
    const match = PATTERN.exec(quantity);
    const [, sign = "", whole = "", fraction = "", suffix = ""] = match ?? [];
    if (match === null || whole + fraction === "") {
        return quantity;
    }
    const minus = sign === "-" ? "-" : "";
    const digits = BigInt(whole + fraction);
    const binary = BINARY.indexOf(suffix);
    if (binary < 0) {
        return decimal(minus, digits, (DECIMAL.indexOf(suffix) - 3) * 3 - fraction.length) || quantity;
    }
    const scaled = digits * 1024n ** BigInt(binary + 1);
    const divisor = 10n ** BigInt(fraction.length);
    if (scaled % divisor !== 0n) {
        return quantity;
    }
    let value = scaled / divisor;
    if (value < 1024n) {
        return decimal(minus, value, 0) || quantity;
    }
    let power = -1;
    while (value % 1024n === 0n && power < BINARY.length - 1) {
        value /= 1024n;
        power++;
    }
    return `${minus}${value}${BINARY[power] ?? ""}`;
}
