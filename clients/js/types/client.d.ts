/** A place in a topic: all events up to and including `seq` are known. */
export interface Position {
  topic: string;
  epoch: string;
  seq: number;
}

export type Token = string | { token: string; expiresAt?: Date | number | null };

export type ErrorCode =
  | "bad_request" | "unauthenticated" | "forbidden" | "not_found" | "already_subscribed" | "limit"
  | "rate_limited" | "deadline_exceeded" | "unavailable" | "too_large" | "internal"
  | "revoked" | "disconnected" | "out_of_order" | "closed" | (string & {});

export class LeatError extends Error {
  constructor(code: ErrorCode, message?: string, retryAfterMs?: number);
  readonly code: ErrorCode;
  readonly retryAfterMs: number;
  /** True if the same request may succeed later. */
  readonly passing: boolean;
}

export interface ConnectOptions {
  /** One token for all times. */
  token?: string;
  /** Called before each attempt, and before the token expires. null: the user is signed out. */
  getToken?: () => Token | null | Promise<Token | null>;
  /** A URL that answers 401 if the token is not good. */
  check?: string;
  /** The WebSocket class, if it is not the global one. */
  WebSocket?: new (url: string, protocol: string) => object;
}

export type ConnectionState = "connecting" | "live" | "waiting" | "sleeping" | "refused" | "closed";
export type TopicState = "idle" | "waiting" | "subscribing" | "live" | "closed";

export interface StateDetail {
  state: ConnectionState;
  /** When the next attempt begins, in milliseconds since 1970. */
  retryAt?: number;
  reason?: string;
}

export interface ConnectionEvents {
  state: CustomEvent<StateDetail>;
  message: CustomEvent<{ direction: "in" | "out"; text: string }>;
}

export interface Answer<T> {
  data: T;
  /** The positions of the events that the request published. */
  at: Position[];
}

/** The positions in the Leat-Position header of a route's answer: what reached() and apply() take. */
export function positionsOf(response: { headers: { get(name: string): string | null } }): Position[];

export interface RequestOptions {
  timeoutMs?: number;
}

export interface SubscribeOptions extends RequestOptions {
  /** Reaches the topic's handler. */
  params?: unknown;
}

export type SnapshotPosition = Position & { stale: boolean };

export type Change<S = any, E = any> =
  | { type: "snapshot"; data: S; at: SnapshotPosition }
  | { type: "event"; data: E; at: Position }
  | { type: "signal"; data: unknown; at?: undefined };

export interface TopicHandlers<S = any, E = any> {
  /** The topic as it is: replaces what you had. */
  snapshot?(data: S, at: SnapshotPosition): void;
  /** Every change after it: in order, each once. */
  event?(data: E, at: Position): void;
  change?(change: Change<S, E>): void;
  /** The position moved on, and there is nothing to show. */
  skip?(at: Position): void;
  signal?(data: unknown): void;
  state?(state: TopicState): void;
  /** Something went wrong that is being mended. */
  error?(error: LeatError): void;
  /** The subscription has ended. */
  closed?(error: LeatError): void;
}

export interface Topic<S = any, E = any> extends AsyncIterable<Change<S, E>> {
  readonly topic: string;
  readonly state: TopicState;
  readonly position: Position | null;
  has(position: Omit<Position, "topic"> | Position | readonly Position[]): boolean;
  reached(
    position: Omit<Position, "topic"> | Position | readonly Position[],
    options?: { signal?: AbortSignal },
  ): Promise<void>;
  /** Takes the handlers of a reader that comes after subscribe(). */
  attach(handlers: TopicHandlers<S, E>): void;
  close(): void;
}

export interface Connection {
  readonly state: ConnectionState;
  subscribe<S = any, E = any>(
    topic: string,
    handlers?: TopicHandlers<S, E> | null,
    options?: SubscribeOptions,
  ): Topic<S, E>;
  /** Waits for a connection if there is none, for 15 s or its timeoutMs. Is never sent twice. */
  publish<T = any>(topic: string, data: unknown, options?: RequestOptions): Promise<Answer<T>>;
  call<T = any>(method: string, params?: unknown, options?: RequestOptions): Promise<Answer<T>>;
  /** Shows the server another token, for the same connection. */
  authenticate(token: Token): Promise<void>;
  /** Resolves when the connection is live; rejects if it is refused or closed before. */
  ready(): Promise<void>;
  /** Connects now, or gives the connection up for a new one. Ends "refused", too. */
  reconnect(reason?: string): void;
  /** Ends everything. Nothing runs afterwards. */
  close(): void;
  addEventListener<K extends keyof ConnectionEvents>(
    type: K,
    listener: (event: ConnectionEvents[K]) => void,
    options?: boolean | AddEventListenerOptions,
  ): void;
  removeEventListener<K extends keyof ConnectionEvents>(
    type: K,
    listener: (event: ConnectionEvents[K]) => void,
    options?: boolean | EventListenerOptions,
  ): void;
}

export function connect(url: string | URL, options?: ConnectOptions): Connection;

/** A change as a reducer sees it; an optimistic one is an event without `at`. */
export type StoreChange<S = any, E = any> =
  | Change<S, E>
  | { type: "event"; data: E; at?: undefined };

export type Reduce<T, S = any, E = any> = (state: T, change: StoreChange<S, E>) => T;

export interface TopicStatus {
  state: TopicState;
  stale: boolean;
  error: LeatError | null;
}

export interface SharedStore<T, E = any> {
  get(): T;
  status(): TopicStatus;
  /** Calls the listener after each change; returns a function that ends it. */
  subscribe(listener: () => void): () => void;
  /** Shows data as an event at once, until the real event comes or send() fails. */
  apply<A>(data: E, send: () => Promise<A>): Promise<A>;
}

export interface Store<T, S = any, E = any> extends SharedStore<T, E> {
  readonly topic: Topic<S, E>;
  close(): void;
}

export function createStore<T, S = any, E = any>(
  topic: Topic<S, E>,
  reduce: Reduce<T, S, E>,
  initial: T,
): Store<T, S, E>;
export function createStore<T, S = any, E = any>(
  topic: Topic<S, E>,
  reduce: Reduce<T | undefined, S, E>,
): Store<T | undefined, S, E>;
