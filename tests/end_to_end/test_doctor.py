import sys

from selfj import doctor


def test_doctor_finds_what_this_machine_has(cli):
    code, out, _ = cli("doctor")
    assert code == 0
    assert "torch" in out
    found = {item.name.split()[0]: item for item in doctor.examine()}
    assert found["torch"].works
    assert found["MiniLM"].works
    assert found["embedded"].works
    assert "MiB" in found["embedded"].found


def test_an_absent_package_has_a_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    found = {item.name.split()[0]: item for item in doctor.examine()}
    assert not found["peft"].works
    assert "pip install" in found["peft"].remedy


def test_keys_are_named_but_never_shown(monkeypatch, cli):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
    _, out, err = cli("doctor")
    assert "OPENAI_API_KEY" in out
    assert "very-secret" not in out + err


def test_doctor_names_what_an_extra_lacks():
    found = doctor._installed("traces", "otel", "numpy", "no-such-package")
    assert not found.works
    assert found.found == "absent: no-such-package"
    assert found.remedy == "pip install 'selfj[otel]'"
