//! What `corelane group describe` prints: tables for people, lines for scripts.

use std::io::{IsTerminal, stdout};

use super::super::{Error, print};
use super::describe::{Described, DescribedMember, TopicPartition};

/// A line for each partition, below a line about the group where people look.
pub(super) fn offsets(groups: &[Described]) -> Result<(), Error> {
    let is_terminal = stdout().is_terminal();
    for (number, group) in groups.iter().enumerate() {
        if is_terminal {
            head(group, number)?;
            if group.offsets.is_empty() {
                print::text("it has committed no offsets")?;
                continue;
            }
        }
        print::rows(
            &[
                "group",
                "topic",
                "partition",
                "committed",
                "start",
                "end",
                "lag",
                "member",
                "host",
                "client",
            ],
            &offset_rows(group),
        )?;
    }
    Ok(())
}

fn offset_rows(group: &Described) -> Vec<Vec<String>> {
    let members = group.members.as_deref().unwrap_or_default();
    let row = |row: &super::describe::Row| {
        let reader = row.reader.and_then(|place| members.get(place));
        vec![
            group.group.clone(),
            row.topic.clone(),
            row.partition.to_string(),
            print::or_dash(row.committed),
            print::or_dash(row.start_offset),
            print::or_dash(row.end_offset),
            print::or_dash(row.lag),
            print::or_dash(reader.map(|member| &member.member)),
            print::or_dash(reader.map(|member| &member.host)),
            print::or_dash(reader.map(|member| &member.client)),
        ]
    };
    group.offsets.iter().map(row).collect()
}

/// A line for each member.
pub(super) fn members(groups: &[Described]) -> Result<(), Error> {
    let is_terminal = stdout().is_terminal();
    for (number, group) in groups.iter().enumerate() {
        let members = group.members.as_deref().unwrap_or_default();
        if is_terminal {
            head(group, number)?;
            if members.is_empty() {
                print::text(match group.members {
                    Some(_) => "it has no members",
                    None => "its members are not told",
                })?;
                continue;
            }
        }
        let row = |member: &DescribedMember| {
            let partitions = member.partitions.as_deref();
            vec![
                group.group.clone(),
                member.member.clone(),
                print::or_dash(member.instance.as_ref()),
                member.host.clone(),
                member.client.clone(),
                print::or_dash(partitions.map(<[TopicPartition]>::len)),
                print::or_dash(partitions.map(share).filter(|share| !share.is_empty())),
            ]
        };
        let rows: Vec<_> = members.iter().map(row).collect();
        let header = ["group", "member", "instance", "host", "client", "partitions", "share"];
        print::rows(&header, &rows)?;
    }
    Ok(())
}

/// Partitions as the command line takes them: `orders:0,1 refunds:3`.
fn share(partitions: &[TopicPartition]) -> String {
    let mut text = String::new();
    let mut last = None;
    for TopicPartition { topic, partition } in partitions {
        if last == Some(topic) {
            text += &format!(",{partition}");
        } else {
            let blank = if text.is_empty() { "" } else { " " };
            text += &format!("{blank}{topic}:{partition}");
        }
        last = Some(topic);
    }
    text
}

/// A line for each group.
pub(super) fn states(groups: &[Described]) -> Result<(), Error> {
    let row = |group: &Described| {
        vec![
            group.group.clone(),
            print::or_dash(group.state.as_ref()),
            print::or_dash(group.kind.as_ref()),
            print::or_dash(group.protocol_type.as_ref()),
            print::or_dash(group.assignor.as_ref()),
            print::or_dash(group.coordinator.as_ref()),
            print::or_dash(group.members.as_ref().map(Vec::len)),
            print::or_dash(group.lag),
        ]
    };
    let rows: Vec<_> = groups.iter().map(row).collect();
    let header =
        ["group", "state", "type", "protocol", "assignor", "coordinator", "members", "lag"];
    print::rows(&header, &rows)
}

/// One line about a group, apart from the group before.
fn head(group: &Described, number: usize) -> Result<(), Error> {
    let blank = if number == 0 { "" } else { "\n" };
    let members = group.members.as_ref().map(|members| super::counted(members.len(), "member"));
    let told = [
        group.state.clone(),
        group.kind.clone(),
        group.assignor.as_ref().map(|assignor| format!("assignor {assignor}")),
        members,
        group.lag.map(|lag| format!("lag {lag}")),
        group.coordinator.as_ref().map(|address| format!("coordinator {address}")),
    ];
    let told: Vec<String> = told.into_iter().flatten().collect();
    print::text(&format!("{blank}{}  {}", group.group, told.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::{TopicPartition, share};

    #[test]
    fn a_share_reads_as_the_command_line_does() {
        let one = |topic: &str, partition| TopicPartition { topic: topic.to_owned(), partition };
        assert_eq!(share(&[one("a", 0), one("a", 2), one("b", 1)]), "a:0,2 b:1");
        assert_eq!(share(&[]), "");
    }
}
