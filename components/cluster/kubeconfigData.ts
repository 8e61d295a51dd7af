import { z } from "zod";

/** Reports a problem at a place in an entry of a kubeconfig. */
export type Report = (path: PropertyKey[], message: string) => void;

export const text = z.string().optional();

export const isBase64 = (value: string): boolean =>
    /^[A-Za-z0-9+/]*={0,2}$/.test(value.replace(/[\r\n]/g, "")) && value.replace(/[\r\n]/g, "").length % 4 === 0;
export const base64 = z.string().refine(isBase64, "expected base64, found another text.").optional();

/** Further data of other programs, which kubectl keeps. */
export const extensions = z.array(z.looseObject({ name: text })).optional();

export const certificateInBase64 = "expected a certificate in PEM, in base64, found another text.";

export const decoded = (value: string): string => Buffer.from(value, "base64").toString("utf8");
