export const resultMark: string;
export function resultIn(stdout: string): string;
