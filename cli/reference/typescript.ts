// What TypeScript files say about themselves, read as text: nothing is run, no type is checked.
import { dirname, join } from "node:path";
import ts from "typescript";
import { code, prose, type Row, read } from "./markdown.ts";

export interface Component {
    readonly name: string;
    /** Its Pulumi type behind the project's name; undefined where there is none to be found. */
    readonly token: string | undefined;
    readonly doc: string;
    /** Rows of a table: name, type, whether it is required, meaning; undefined without an interface of the arguments. */
    readonly args: Row[] | undefined;
    /** Rows of a table: name, type, meaning. */
    readonly properties: Row[];
}

const parse = (file: string) => ts.createSourceFile(file, read(file), ts.ScriptTarget.ES2022, true);

function doc(node: ts.Node): string {
    const comments = ts.getJSDocCommentsAndTags(node).map(({ comment }) => ts.getTextOfJSDocComment(comment) ?? "");
    return prose(comments.join(" "));
}

/** Descriptions of the fields of object literals in a file, by name. */
export function fieldDocs(file: string): Map<string, string> {
    const found = new Map<string, string>();
    const visit = (node: ts.Node): void => {
        if ((ts.isPropertyAssignment(node) || ts.isShorthandPropertyAssignment(node)) && doc(node) !== "") {
            found.set(node.name.getText(), doc(node));
        }
        ts.forEachChild(node, visit);
    };
    visit(parse(file));
    return found;
}

/** The components of a file. */
export function componentsOf(file: string): Component[] {
    return parse(file)
        .statements.filter(ts.isClassDeclaration)
        .filter((one) => /extends pulumi\.ComponentResource\b/.test(one.heritageClauses?.[0]?.getText() ?? ""))
        .map((one) => {
            const builder = one.members.find(ts.isConstructorDeclaration);
            return {
                name: one.name?.text ?? "",
                token: /super\(`\$\{project\}(:\w+:\w+)`/.exec(builder?.getText() ?? "")?.[1],
                doc: doc(one),
                args: interfaceOf(file, builder?.parameters[1]?.type?.getText())
                    ?.members.filter(ts.isPropertySignature)
                    .map((member) => {
                        const [name = "", type = "", meaning = ""] = rowOf(member);
                        return [name, type, member.questionToken ? "" : "yes", meaning];
                    }),
                properties: one.members.filter(ts.isPropertyDeclaration).filter(isPublic).map(rowOf),
            };
        });
}

function isPublic({ modifiers }: ts.PropertyDeclaration): boolean {
    return modifiers?.some(({ kind }) => kind === ts.SyntaxKind.PublicKeyword) ?? false;
}

function rowOf(member: ts.PropertySignature | ts.PropertyDeclaration): Row {
    // A constant has no type but its value.
    const type = member.type ?? (ts.isPropertyDeclaration(member) ? member.initializer : undefined);
    return [code(member.name.getText()), code(type?.getText() ?? ""), doc(member)];
}

/** The interface of that name in a file, or where the file imports it from. */
function interfaceOf(file: string, wanted: string | undefined): ts.InterfaceDeclaration | undefined {
    const { statements } = parse(file);
    const from = statements.filter(ts.isImportDeclaration).find(({ importClause }) => {
        const bindings = importClause?.namedBindings;
        return bindings && ts.isNamedImports(bindings) && bindings.elements.some(({ name }) => name.text === wanted);
    })?.moduleSpecifier;
    return from !== undefined && ts.isStringLiteral(from)
        ? interfaceOf(`${join(dirname(file), from.text)}.ts`, wanted)
        : statements.filter(ts.isInterfaceDeclaration).find(({ name }) => name.text === wanted);
}
