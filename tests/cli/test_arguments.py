from src.cli.arguments import own_arguments


def test_own_keys_are_taken_as_typed_and_the_others_left():
    found = own_arguments(["policy=outputs/F=2,seed=0", "loss=dpo", "--help", "policies=x"], ("policy", "split"))
    assert found == ({"policy": "outputs/F=2,seed=0"}, ["loss=dpo", "--help", "policies=x"], [])


def test_everything_wrong_with_them_is_said():
    values, others, problems = own_arguments(["a=1", "a=2", "b= ", "c=x\0"], ("a", "b", "c"))
    assert (values, others) == ({"a": "1"}, [])
    assert [line.split(":")[0] for line in problems] == ["a=2", "b= ", "c"]
    assert "given twice" in problems[0] and "missing" in problems[1] and "NUL" in problems[2]
