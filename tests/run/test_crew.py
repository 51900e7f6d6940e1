from faceloom.run.crew import Crew
from faceloom.run.messages import Look


def test_a_member_that_has_looked_once_is_as_good_as_new_and_not_after_that() -> None:
    with Crew() as crew:
        crew.hire(1)
        (member,) = crew.members
        member.send(Look(()))
        crew.receive()
        assert not crew.used
        member.send(Look(()))
        crew.receive()
        assert crew.used == (member,)
