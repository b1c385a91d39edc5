"""Settings: every option once, checked alike wherever it comes from."""

from __future__ import annotations

import importlib
import sys
from datetime import date, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecaster.config import (
    EVERY_SETTINGS,
    SETTINGS,
    CommonSettings,
    EvaluateSettings,
    PredictSettings,
    TrainSettings,
)
from forecaster.config.option import READERS, flag, names_in, options, parse_duration
from forecaster.config.resolve import ConfigFile, from_mapping, load_toml, resolve, unknown_variables
from forecaster.errors import UsageError
from forecaster.models.cells import CELLS

NOTHING = ConfigFile("forecaster.toml", {}, {})


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("settings", EVERY_SETTINGS)
def test_every_field_is_an_option_with_a_known_kind_and_a_default_that_it_would_accept(settings: type) -> None:
    known = options(settings)
    assert known.keys() == settings.__dataclass_fields__.keys()  # type: ignore[attr-defined]
    for name, item in known.items():
        assert item.kind in READERS and item.help.endswith((".", ")."))
        if (default := getattr(settings, name)) is not None:
            assert from_mapping(settings, {name: default}, "here") == settings()


def test_an_option_that_two_commands_share_means_the_same_to_both() -> None:
    for name in {name for settings in SETTINGS.values() for name in options(settings)} - {"horizon", "model", "output"}:
        assert len({options(settings)[name] for settings in SETTINGS.values() if name in options(settings)}) == 1, name


def test_choices_are_the_names_in_the_tables_whether_or_not_these_are_imported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tables = {choice for item in options(TrainSettings).values() for choice in item.choices if ":" in choice}
    assert len(tables) == 14
    for choice in tables:
        module, _, table = choice.partition(":")
        names = tuple(getattr(importlib.import_module(module), table))
        assert names and names_in((choice,)) == names
        with monkeypatch.context() as without:
            without.delitem(sys.modules, module)
            assert names_in((choice,)) == names
            assert module not in sys.modules  # its source was read
    assert names_in(options(TrainSettings)["transform"].choices)[0] == "auto"


def test_formats_are_those_that_a_forecast_is_written_in() -> None:
    from forecaster.serving.forecast_file import FORMATS

    assert set(options(PredictSettings)["format"].choices) == set(FORMATS)


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({"horizn": 3}, "f.toml: unknown option 'horizn'. Did you mean 'horizon'?"),
        ({"horizon": 0}, "f.toml: horizon: 0 is not at least 1."),
        ({"horizon": "3"}, "f.toml: horizon: '3' is not a whole number."),
        ({"horizon": True}, "f.toml: horizon: True is not a whole number."),
        ({"horizon": 2.5}, "f.toml: horizon: 2.5 is not a whole number."),
        ({"dropout": 1}, "f.toml: dropout: 1 is not in [0, 1)."),
        ({"dropout": float("nan")}, "f.toml: dropout: nan is not in [0, 1)."),
        ({"learning_rate": 0}, "f.toml: learning_rate: 0 is not above 0."),
        ({"cell": "gro"}, f"f.toml: cell: 'gro' is not one of auto, {', '.join(CELLS)}. Did you mean 'gru'?"),
        ({"device": "quantum"}, "f.toml: device: 'quantum' is not one of auto, cpu, gpu."),
        ({"device": "gpu:x"}, "f.toml: device: 'gpu:x' is not one of auto, cpu, gpu. Did you mean 'gpu'?"),
        ({"bidirectional": 1}, "f.toml: bidirectional: 1 is neither true nor false."),
        ({"time_budget": "5x"}, "f.toml: time_budget: '5x' is not a duration. Expected e.g. 300, 90s, 5m or 1h30m."),
        ({"time_budget": "0s"}, "f.toml: time_budget: 0s is not above 0."),
        ({"quantiles": "0.5,1"}, "f.toml: quantiles: quantile 1 is not in (0, 1). Expected e.g. 0.1,0.5,0.9 or none."),
        ({"quantiles": [0.5, 0.5]}, "f.toml: quantiles: a quantile is given twice."),
        ({"quantiles": 0.5}, "f.toml: quantiles: 0.5 is not a list of quantiles. Expected e.g. 0.1,0.5,0.9 or none."),
        ({"series": ""}, "f.toml: series: '' is not a name."),
        ({"from": 3}, "f.toml: from: 3 is not a name."),
        (
            {"cell": "lstm", "reset_after": True},
            "--reset-after has no effect on lstm: it has no reset gate. Leave it out.",
        ),
        (
            {"resume": True, "from": "a"},
            "--resume and --from exclude each other. Keep the one that names where to start.",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_line(mapping: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        from_mapping(TrainSettings, mapping, "f.toml")
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (date(2024, 3, 31), "2024-03-31"),  # until = 2024-03-31, without quotes in TOML
        (datetime(2024, 3, 31, 6, 30), "2024-03-31T06:30:00"),
        (2018, "2018"),
        ("2024-03", "2024-03"),
    ],
)
def test_times_may_be_dates_or_numbers(value: object, text: str) -> None:
    assert from_mapping(TrainSettings, {"until": value}, "f.toml").until == text
    assert from_mapping(PredictSettings, {"as_of": value}, "f.toml").as_of == text
    with pytest.raises(UsageError, match=r"f.toml: since: True is no timestamp\. Expected e\.g\. 2020"):
        from_mapping(TrainSettings, {"since": True}, "f.toml")


def test_typed_values_are_taken_as_they_are() -> None:
    numpy = pytest.importorskip("numpy")
    mapping = {"horizon": numpy.int64(3), "season-length": 7, "from": "a@2", "quantiles": [0.9, 0.1], "cell": None}
    settings = from_mapping(TrainSettings, mapping, "train()")
    assert (settings.horizon, settings.season_length, settings.start_from) == (3, 7, "a@2")
    assert settings.quantiles == (0.1, 0.9)
    assert type(settings.horizon) is int and settings.cell is None


@pytest.mark.parametrize(("text", "levels"), [("none", ()), ("0.9, 0.1", (0.1, 0.9)), ("0.5", (0.5,))])
def test_quantiles_are_read_from_text_in_ascending_order(text: str, levels: tuple[float, ...]) -> None:
    assert resolve(TrainSettings, {"quantiles": text}, {}, NOTHING, "train").quantiles == levels


@pytest.mark.parametrize(
    ("text", "seconds"), [("300", 300), ("90s", 90), ("5m", 300), ("1h30m", 5400), ("1.5H", 5400), ("1h1m1s", 3661)]
)
def test_durations_are_seconds(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@given(st.text(max_size=8))
def test_any_other_text_is_no_duration(text: str) -> None:
    try:
        assert parse_duration(text) >= 0
    except UsageError as error:
        assert "is not a duration" in error.message


def test_flags_win_over_variables_over_the_file_over_the_default() -> None:
    Path("forecaster.toml").write_text(
        "horizon = 3\nunits = 3\nlayers = 3\n[train]\nlayers = 4\n[predict]\nhorizon = 9\n"
    )
    variables = {"FORECASTER_HORIZON": "2", "FORECASTER_UNITS": "2", "FORECASTER_ZONE": ""}
    settings = resolve(TrainSettings, {"horizon": "1", "units": None}, variables, load_toml(None), "train")
    assert (settings.horizon, settings.units, settings.layers, settings.seed) == (1, 2, 4, 0)
    assert settings.zone is None
    assert resolve(PredictSettings, {}, {}, load_toml(None), "predict").horizon == 9


@pytest.mark.parametrize(
    ("flags", "variables", "message"),
    [
        ({"season_length": "x"}, {}, "--season-length: 'x' is not a whole number."),
        ({"start_from": ""}, {}, "--from: '' is not a name."),
        (
            {},
            {"FORECASTER_FROM": "a", "FORECASTER_RESUME": "maybe"},
            "FORECASTER_RESUME: 'maybe' is neither true nor false.",
        ),
        ({}, {"FORECASTER_DROPOUT": "2"}, "FORECASTER_DROPOUT: 2 is not in [0, 1)."),
    ],
)
def test_an_error_names_the_option_as_it_was_written(
    flags: dict[str, object], variables: dict[str, str], message: str
) -> None:
    with pytest.raises(UsageError) as caught:
        resolve(TrainSettings, flags, variables, NOTHING, "train")
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("name", "meant"), [("HORIZN", "HORIZON"), ("SEASONLENGTH", "SEASON_LENGTH"), ("UNIT", "UNITS")]
)
def test_a_variable_that_nearly_names_an_option_is_refused(name: str, meant: str) -> None:
    message = rf"unknown variable FORECASTER_{name}. Did you mean 'FORECASTER_{meant}'\?"
    with pytest.raises(UsageError, match=message):
        unknown_variables({f"FORECASTER_{name}": "3"})


def test_variables_of_others_are_let_be_and_links_to_services_are_not_even_told() -> None:
    links = {"SERVICE_HOST": "10.0.0.1", "SERVICE_PORT": "80", "SERVICE_PORT_HTTP": "80", "PORT": "tcp://10.0.0.1:80"}
    links |= {"PORT_80_TCP": "tcp://10.0.0.1:80", "PORT_80_TCP_ADDR": "10.0.0.1", "API_SERVICE_HOST": "10.0.0.1"}
    environment = {f"FORECASTER_{name}": value for name, value in links.items()}
    options_and_more = {"FORECASTER_HORIZON": "3", "FORECASTER_FROM": "a", "FORECASTER_IMAGE": "x:1", "HOME": "/"}
    assert unknown_variables({**environment, **options_and_more}) == ("FORECASTER_IMAGE",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("horizn = 3", "forecaster.toml: unknown key 'horizn'. Did you mean 'horizon'?"),
        ("[predict]\nunits = 3", "forecaster.toml: [predict]: unknown key 'units'."),
        ("[trian]\nunits = 3", "forecaster.toml: unknown key 'trian'."),
        ("config = 'x'", "forecaster.toml: unknown key 'config'."),
        ("horizon = ", "forecaster.toml: not TOML: "),
    ],
)
def test_a_fault_in_the_file_is_said_with_its_place(text: str, message: str) -> None:
    Path("forecaster.toml").write_text(text)
    with pytest.raises(UsageError) as caught:
        load_toml(None)
    assert str(caught.value).startswith(message)


def test_a_file_that_is_named_must_be_there_and_one_that_is_not_need_not() -> None:
    assert load_toml(None).shared == {}
    with pytest.raises(UsageError, match=r"x\.toml: cannot be read \(No such file or directory\)"):
        load_toml("x.toml")


def test_the_file_may_set_what_every_command_takes() -> None:
    Path("forecaster.toml").write_text("quiet = true\n[train]\njson = true\n")
    assert resolve(CommonSettings, {}, {}, load_toml(None), "train") == CommonSettings(quiet=True, json=True)
    assert resolve(CommonSettings, {}, {}, load_toml(None), "predict") == CommonSettings(quiet=True)


def test_a_shared_key_reaches_only_commands_that_have_it() -> None:
    Path("forecaster.toml").write_text("units = 3\nfrom = 'a'\nmodels = 'm'\n")
    assert resolve(PredictSettings, {}, {}, load_toml(None), "predict").models == "m"
    assert resolve(TrainSettings, {}, {}, load_toml(None), "train").start_from == "a"


def test_flags_are_named_after_fields() -> None:
    known = options(TrainSettings)
    assert flag("season_length", known["season_length"]) == "--season-length"
    assert flag("start_from", known["start_from"]) == "--from"


def test_names_are_read_from_text_with_commas_and_quotes_or_from_lists() -> None:
    for value in ('a,"b, c"', ["a", "b, c"], ("a", "b, c")):
        assert from_mapping(PredictSettings, {"plot_series": value, "plot": "-"}, "here").plot_series == ("a", "b, c")
    for wrong in ("a,,b", ["a", 1], 5):
        with pytest.raises(UsageError, match="plot_series"):
            from_mapping(PredictSettings, {"plot_series": wrong, "plot": "-"}, "here")


def test_a_command_line_made_from_settings_reads_back_to_the_same_names() -> None:
    from forecaster.commands.batch.run_job import _joined

    names = ("a", 'b, "c"')
    given = {"plot_series": _joined(names), "report": "r.html"}
    assert from_mapping(EvaluateSettings, given, "here").plot_series == names


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"momentum": 0.9}, "--momentum has no effect on --optimizer adam. Take one of rmsprop, sgd."),
        ({"clip_norm": 1.0, "clip_value": 1.0}, "--clip-norm and --clip-value exclude each other. Leave one out."),
        ({"attention": True}, "--attention has no effect without --head encoder-decoder. Leave one out."),
        (
            {"teacher_forcing": "1..0", "head": "seq2seq"},
            "--teacher-forcing has no effect without --head encoder-decoder.",
        ),
        ({"recurrent_dropout": 0.2, "head": "recursive"}, "--recurrent-dropout: --head recursive runs single steps"),
        ({"forget_bias": 2.0}, "--forget-bias is that of an LSTM. Give --cell lstm, too."),
        ({"network": "a:b", "head": "direct"}, "--head direct has no effect with --network a:b. Leave one out."),
        ({"network": "a:b", "cell": "auto"}, "--cell auto has no effect with --network a:b. Leave one out."),
        ({"network": "a"}, "here: network: 'a' is not module:function. Expected e.g. networks:build."),
        (
            {"teacher_forcing": "1..2"},
            "here: teacher_forcing: '1..2' is not one or two shares. Expected e.g. 1..0 or 0.5.",
        ),
        ({"truncate": 0}, "here: truncate: 0 is not at least 1."),
    ],
)
def test_options_of_fitting_without_effect_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        from_mapping(TrainSettings, options, "here")
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("given", "shares"), [("1..0", (1, 0)), ("0.5", (0.5, 0.5)), (1, (1, 1)), ([1, 0.5], (1, 0.5))]
)
def test_teacher_forcing_is_one_share_or_two(given: object, shares: tuple[float, float]) -> None:
    found = from_mapping(TrainSettings, {"teacher_forcing": given, "head": "encoder-decoder"}, "here")
    assert found.teacher_forcing == shares


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="the system has no /dev/zero")
def test_a_settings_file_that_never_ends_is_refused(capfd):
    from forecaster.config.resolve import parse_toml

    with pytest.raises(UsageError, match="MiB of settings"):
        parse_toml(Path("/dev/zero"), "/dev/zero")


@pytest.mark.parametrize("text", ["100000000", "1" + "0" * 20, "9" * 400, "9" * 5000])
@pytest.mark.parametrize("command", [["predict"], ["train", "a.csv"]])
def test_a_horizon_that_no_calendar_has_is_refused(capfd, text, command):
    from forecaster.cli.main import run

    assert run([*command, "--horizon", text]) == 2
    assert "--horizon" in capfd.readouterr().err


def test_name_and_model_are_one_word_for_the_commands_that_have_either() -> None:
    assert from_mapping(TrainSettings, {"model": "sales"}, "train()").name == "sales"
    assert from_mapping(PredictSettings, {"name": "sales"}, "predict()").model == "sales"
    with pytest.raises(UsageError, match="given under two names"):
        from_mapping(TrainSettings, {"model": "a", "name": "b"}, "train()")


def test_a_gpu_may_be_named_by_its_number_where_this_process_computes() -> None:
    for settings in (TrainSettings, PredictSettings, EvaluateSettings):
        assert from_mapping(settings, {"device": "gpu:1"}, "f.toml").device == "gpu:1"
        with pytest.raises(UsageError, match="--engine ray: workers compute on processors"):
            from_mapping(settings, {"device": "gpu:1", "engine": "ray", "output": "out/"} if settings is PredictSettings
                         else {"device": "gpu:1", "engine": "ray"}, "f.toml")  # fmt: skip
    assert PredictSettings(engine="ray", output="out/").device_here == "cpu"  # as the workers
    assert PredictSettings().device_here == "auto"
