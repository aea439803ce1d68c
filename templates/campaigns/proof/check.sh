#!/bin/sh
# Checks this bundle with sha256sum and openssl alone. Run it in the unpacked folder: sh check.sh
set -eu
fail() { echo "FAILED: $1"; exit 1; }
hash() { sha256sum | cut -d' ' -f1; }

sha256sum --check --quiet SHA256SUMS || fail "a file is not the one that was packed"
for text in heads/*.text; do
  [ -e "$text" ] || continue
  base=${text%.text}; key=${base##*.}
  openssl pkeyutl -verify -pubin -inkey "keys/$key.pem" -rawin -in "$text" -sigfile "$base.signature" >/dev/null \
    || fail "signature of $text"
done
for said in records/*.said; do
  [ -e "$said" ] || continue
  base=${said%.said}; name=${base##*/}; position=${name%%-*}
  record=$(cat "$base.json" "$base.previous" | hash)
  set -- $(cat "$said")
  [ "$4" = "$record" ] || fail "record $name is not the one in the ledger"
  inner=$(hash < "$said"); last=
  while read -r place line before; do
    if [ -z "$last" ]; then
      { [ "$place" = "$position" ] && [ "$line" = "$inner" ]; } || fail "place of $name"
    else
      [ "$before" = "$last" ] || fail "entry $place behind $name"
    fi
    last=$(printf '%s' "$place $line $before" | hash); end=$place
  done < "chain/$name.txt"
  grep -qs "^sendserver ledger $end $last " heads/"$end".*.text || fail "$name leads to no signed head"
  echo "ok $name, signed at $end"
done
for root in addresses/*.root; do
  [ -e "$root" ] || continue
  base=${root%.root}; way=$(hash < "$base.block")
  while read -r side beside; do
    case $side in
      L) way=$(printf '%s' "$beside $way" | hash) ;;
      R) way=$(printf '%s' "$way $beside" | hash) ;;
    esac
  done < "$base.path"
  [ "$way" = "$(cat "$root")" ] || fail "the block of message ${base##*/} leads to another root"
  grep -qs "\"rows_root\":\"$way\"" records/*compliance_attestation.json || fail "root of message ${base##*/} is in no statement"
  block=$(od -An -v -tx1 -w32 "$base.block" | tr -d ' ') || fail "od"
  echo "$block" | grep -qx "$(od -An -v -tx1 -w32 "$base.hash" | tr -d ' ')" || fail "the address of message ${base##*/} is not in the file"
  echo "ok address of message ${base##*/}, in the signed file"
done
echo "All records are the ones that were signed."
