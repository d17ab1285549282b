/* React is CommonJS on npm. As an ES module it needs the names that pages import. */
export {
  Activity, Children, Component, Fragment, Profiler, PureComponent, StrictMode, Suspense, act, cache, cloneElement,
  createContext, createElement, createRef, default, forwardRef, isValidElement, lazy, memo, startTransition, use,
  useActionState, useCallback, useContext, useDebugValue, useDeferredValue, useEffect, useId, useImperativeHandle,
  useInsertionEffect, useLayoutEffect, useMemo, useOptimistic, useReducer, useRef, useState, useSyncExternalStore,
  useTransition, version,
} from "react";
