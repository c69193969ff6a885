#!/usr/bin/env bash
# propose_pins.sh PATCH RESULT: opens a pull request with the refreshed locks in PATCH, or updates the open one.
#
# RESULT says how the tests ended ("success" or "failure"), for the description. The workflow pins.yml calls this script
# with a token for gh and git.
set -euo pipefail
patch=$(realpath "$1") result=$2
cd "$(git rev-parse --show-toplevel)"
branch=pins base=main title='Update the pinned packages'

if [[ ! -s $patch ]]; then
  echo 'The pins are up to date.'
  exit
fi
git switch --quiet --force-create "$branch"
git apply --index "$patch"
# The patch was made where new packages run, so it may change nothing but the locks.
others=$(
  git diff --cached --no-renames --raw |
    grep -Ev '^:100644 100644 [0-9a-f.]+ [0-9a-f.]+ M'$'\t''third_party/.*(\.lock|/package-lock\.json)$' || true
)
if [[ $others ]]; then
  printf 'propose_pins: the patch does more than change the content of locks:\n%s\n' "$others" >&2
  exit 1
fi
# The name and address with which GitHub shows its own robot as the author.
git -c user.name='github-actions[bot]' -c user.email='41898282+github-actions[bot]@users.noreply.github.com' \
  commit --quiet --message="$title"
git push --quiet --force origin "$branch"
body="The newest versions of the packages in third_party/. The tests, which ran before this was opened: $result."
# A fork may have a branch of the same name.
number=$(gh pr list --head "$branch" --base "$base" --state open --json number,isCrossRepository \
  --jq 'map(select(.isCrossRepository | not))[0].number // empty')
if [[ $number ]]; then
  gh pr edit "$number" --body "$body"
else
  gh pr create --head "$branch" --base "$base" --title "$title" --body "$body"
fi
gh workflow run ci.yml --ref "$branch"
