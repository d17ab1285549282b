# The SDKs of Centrifuge as their registries serve them, for the suite sdk. Each is optional: what cannot be had is left
# out, and the spec says so.
# shellcheck shell=bash
# shellcheck disable=SC2154 # root and work are those of scripts/test

sdk_work=

# sdk_try NAME COMMAND-THAT-MUST-BE-THERE FUNCTION: exports LEAT_SDK_NAME, the words that start the driver, or why not.
sdk_try() {
  local name=$1 program=$2 prepare=$3 command
  if ! command -v "$program" >/dev/null; then
    export "LEAT_SDK_${name}_REASON=there is no $program"
  elif command=$("$prepare" 2>"$sdk_work/$name.log"); then
    export "LEAT_SDK_$name=$command"
  else
    export "LEAT_SDK_${name}_REASON=it could not be prepared, see $sdk_work/$name.log"
  fi
}

sdk_js() {
  rm -rf "$sdk_work/js" && cp -r "$root/spec/sdk/js" "$sdk_work/js" || return
  npm_ci "$sdk_work/js" >&2 && printf 'node %s\n' "$sdk_work/js/driver.js"
}

sdk_python() {
  local venv=$sdk_work/python
  [ -x "$venv/bin/pip" ] || /usr/bin/python3 -m venv "$venv" >&2 || return
  "$venv/bin/pip" install --quiet -r "$root/spec/sdk/python/requirements.txt" >&2 || return
  printf '%s %s\n' "$venv/bin/python" "$root/spec/sdk/python/driver.py"
}

sdk_go() {
  (cd "$root/spec/sdk/go" && go build -o "$sdk_work/go-driver" .) >&2 && printf '%s\n' "$sdk_work/go-driver"
}

sdk_java() {
  local target=$sdk_work/java
  mvn -q -B -f "$root/spec/sdk/java/pom.xml" -Dleat.build="$target" compile dependency:copy-dependencies >&2 || return
  printf 'java -XX:TieredStopAtLevel=1 -cp %s Driver\n' "$target/classes:$target/dependency/*"
}

# sdk_prepare: makes what there is, and exports how to start it.
sdk_prepare() {
  sdk_work=$work/sdk
  mkdir -p "$sdk_work" || return
  [ ! -d /usr/local/go/bin ] || PATH=$PATH:/usr/local/go/bin
  sdk_try JS npm sdk_js
  sdk_try PYTHON python3 sdk_python
  sdk_try GO go sdk_go
  sdk_try JAVA mvn sdk_java
}

# Runs only if named: it needs four registries, and most of a minute.
suite_sdk() {
  build dev leat
  sdk_prepare
  cd "$root" || return
  busted --lua=lua5.4 --output=TAP --pattern=_spec%.lua$ spec/sdk
}
