from sidecar.programs.nginx import Emergencies


def test_only_what_came_after_the_mark_counts() -> None:
    heard = Emergencies()
    heard.hear("nginx: [emerg] old")
    mark = heard.mark
    assert heard.since(mark) == []
    heard.hear("2026/11/23 12:49:51 [warn] 1#1: odd")
    heard.hear("2026/11/23 12:49:51 [emerg] 1#1: new")
    assert heard.since(mark) == ["[emerg] new"]


def test_a_flood_keeps_the_newest() -> None:
    heard = Emergencies()
    for number in range(1000):
        heard.hear(f"nginx: [emerg] {number}")
    assert heard.since(0)[-1] == "[emerg] 999"
    assert len(heard.since(0)) == 100
    assert heard.since(998) == ["[emerg] 998", "[emerg] 999"]
