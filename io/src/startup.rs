//! What only the start of a process needed.

use std::fs;

use crate::sys;

/// Lets go of the pages of this program's code that are mapped by now: the start has touched most of it, and what runs
/// from then on comes back from the page cache as it is used. Nothing where the kernel does not tell where the code is.
pub fn release_code() {
    let own = release_code as fn() as usize;
    let Ok(maps) = fs::read_to_string("/proc/self/maps") else {
        return;
    };
    if let Some((start, end)) = maps.lines().find_map(|line| code(line, own)) {
        sys::unmap_clean(start, end - start);
    }
}

/// The range of a line of proc_pid_maps(5), if it is of code from a file and holds `address`.
fn code(line: &str, address: usize) -> Option<(usize, usize)> {
    let mut fields = line.split_whitespace();
    let (start, end) = fields.next()?.split_once('-')?;
    let number = |text| usize::from_str_radix(text, 16).ok();
    let (start, end) = (number(start)?, number(end)?);
    let is_code = fields.next()? == "r-xp" && fields.nth(2)? != "0";
    (is_code && (start..end).contains(&address)).then_some((start, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_what_is_executable_from_a_file_around_an_address() {
        let line = "1000-3000 r-xp 00000000 08:01 42 /usr/bin/sluice";
        assert_eq!(code(line, 0x2000), Some((0x1000, 0x3000)));
        assert_eq!(code(line, 0x3000), None);
        assert_eq!(code("1000-3000 r-xp 00000000 00:00 0", 0x2000), None);
        assert_eq!(
            code("1000-3000 rw-p 00000000 08:01 42 /usr/bin/sluice", 0x2000),
            None
        );
        assert_eq!(code("", 0), None);
    }

    #[test]
    fn the_program_goes_on_without_the_pages() {
        let resident = || {
            let text = fs::read_to_string("/proc/self/statm").unwrap();
            text.split(' ').nth(2).unwrap().parse::<u64>().unwrap()
        };
        let before = resident();
        release_code();
        assert!(resident() < before, "file pages: {before}, then {}", resident());
    }
}
