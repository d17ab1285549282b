/* The arrow keys, and WASD, as one number: 1 left, 2 right, 4 up, 8 down. */

const BITS = {
  ArrowLeft: 1, KeyA: 1,
  ArrowRight: 2, KeyD: 2,
  ArrowUp: 4, KeyW: 4,
  ArrowDown: 8, KeyS: 8,
};

/** Calls onChange(keys) whenever other keys are down than before. */
export function watchKeys(onChange) {
  const down = new Set();
  let last = 0;
  function report() {
    let keys = 0;
    for (const code of down) keys |= BITS[code];
    if (keys !== last) onChange((last = keys));
  }

  addEventListener("keydown", (event) => {
    if (!(event.code in BITS) || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    down.add(event.code);
    report();
  });
  addEventListener("keyup", (event) => {
    down.delete(event.code);
    report();
  });
  addEventListener("blur", () => {
    down.clear();
    report();
  });
}
