// The types of the client; those of what is sent and answered are made from docs/openapi.json (schema.d.mts).
import type { components, operations } from './schema.d.mts';

/** What the API speaks of, by its names: `Schemas['Order']`. */
export type Schemas = components['schemas'];
export type OperationId = keyof operations;

export interface Options {
  /** Where the shop is; nothing for the page's own origin. */
  url?: string | undefined;
  /** An access token, of a session that somebody else keeps. */
  token?: string | undefined;
  /** A session that was kept, as `onSession` was given it. */
  session?: Session | undefined;
  /** Is called with each new session, and with nothing when it has ended: keep it where nobody else can read it. */
  onSession?: (session: Session | undefined) => void;
  /**
   * Sees to a session in your way, before each call that needs one, and with the problem when the shop has answered 401:
   * resolves where the call can be sent (again, with what `session` is then), to `false` where a 401 is final, and rejects
   * with what the call is to throw. Where nothing is said, a session is refreshed that there is.
   */
  authorize?: (problem?: ShopProblem) => Promise<boolean | void>;
  /** Runs a refresh when nobody else does who has the same refresh token, as other tabs have a cookie: `navigator.locks`. */
  exclusively?: <T>(refresh: () => Promise<T>) => Promise<T>;
  fetch?: typeof globalThis.fetch;
  /** How often a call is tried that may be repeated; 3 where nothing is said. */
  attempts?: number;
  /** Milliseconds until an answer must be there; 30,000 where nothing is said. */
  timeout?: number;
}

export interface Session {
  token: string;
  /** Missing where it is a cookie. */
  refresh_token?: string | undefined;
  /** In milliseconds since 1970; missing where nobody can refresh it. */
  expires_at?: number;
  /** Whose it is, as of when it was opened or refreshed last. */
  user?: Schemas['User'];
}

/** What the shop has refused: a problem document (RFC 9457). */
export class ShopProblem extends Error {
  /** Stable, and the path of its page: `/problems/insufficient-stock`. */
  readonly type: string;
  readonly title: string;
  readonly status: number;
  /** Each field at fault. */
  readonly errors: Schemas['FieldError'][];
  readonly traceId: string | undefined;
  readonly response: Response;
  /** After so many seconds another try makes sense. */
  readonly retryAfter: number | undefined;
}

/** There was no answer, or it broke off: what was asked for may be done or not. `cause` is what `fetch` has thrown. */
export class ShopUnreachable extends Error {}

/** A key for what is to be made once, to be kept by whoever may send it again later. */
export function newIdempotencyKey(): string;

interface Sending {
  /** The same key makes one of what is sent twice; a new one is made for each call where nothing is said. */
  idempotencyKey?: string;
  signal?: AbortSignal;
  /** With the session's token where the call needs none: an admin is told more of a product. */
  authenticated?: boolean;
  /** As in `Options`, for this call. */
  attempts?: number;
  /** What a browser may take from its cache. */
  cache?: RequestCache;
}

/** A part of the input, which may be left out if all that is in it may be. */
type Part<Name extends string, Value> = [Value] extends [never]
  ? unknown
  : Partial<Value> extends Value
    ? { [N in Name]?: Value }
    : { [N in Name]: Value };
type Parameters<Op, Place extends string> = Op extends { parameters: { [P in Place]?: infer Value } }
  ? NonNullable<Value>
  : never;
type Body<Op> = Op extends { requestBody: { content: { 'application/json': infer Value } } } ? Value : never;

/** What a call takes. */
export type Input<Id extends OperationId> = Part<'path', Parameters<operations[Id], 'path'>>
  & Part<'query', Parameters<operations[Id], 'query'>>
  & Part<'header', Parameters<operations[Id], 'header'>>
  & ([Body<operations[Id]>] extends [never] ? unknown : { body: Body<operations[Id]> })
  & Sending;

type Answers<Op> = Op extends { responses: infer All } ? All[keyof All] : never;
/** What a call answers. */
export type Answer<Id extends OperationId> = Answers<operations[Id]> extends { content: { 'application/json': infer Value } }
  ? Value
  : void;
type Events<Id extends OperationId> = Answers<operations[Id]> extends { content: { 'text/event-stream': infer Value } }
  ? Value
  : never;

type Arguments<Value> = Partial<Value> extends Value ? [input?: Value] : [input: Value];
type Calls = {
  /** Every call by its name in the document. It throws a `ShopProblem` where the shop refuses. */
  readonly [Id in OperationId]: (...input: Arguments<Input<Id>>) => [Events<Id>] extends [never]
    ? Promise<Answer<Id>>
    : AsyncGenerator<Events<Id>, void, undefined>;
};

/** The calls that list something by `cursor`. */
export type ListId = {
  [Id in OperationId]: Answer<Id> extends { items: unknown[]; next?: string } ? 'cursor' extends keyof Parameters<operations[Id], 'query'> ? Id : never : never;
}[OperationId];
type Item<Id extends ListId> = Answer<Id> extends { items: (infer Value)[] } ? Value : never;

export interface Shop extends Omit<Calls, 'logout' | 'refresh'> {
  /** Who is logged in; nothing where nobody is. */
  readonly session: Session | undefined;
  /** Ends the session. */
  logout(input?: Partial<Input<'logout'>>): Promise<void>;
  /** Trades the refresh token. Calls do it themselves when it is time. */
  refresh(input?: Partial<Input<'refresh'>>): Promise<Answer<'refresh'>>;
  /** Drops the session here, and tells nobody. */
  forget(): void;
  /** A call with its whole answer: status, `etag` and `link` are in the headers of `response`. */
  call<Id extends OperationId>(id: Id, ...input: Arguments<Input<Id>>): Promise<{ data: Answer<Id>; response: Response }>;
  /** Everything on a list, page by page. */
  each<Id extends ListId>(id: Id, input?: Input<Id>): AsyncGenerator<Item<Id>, void, undefined>;
  /** Any request with the session's token, which throws for nothing that the shop answers. */
  fetch(method: string, path: string, request?: { headers?: Record<string, string>; body?: unknown; signal?: AbortSignal; anonymous?: boolean; endless?: boolean }): Promise<Response>;
}

export function createShop(options?: Options): Shop;
