//! The pages of a damaged file: those in the file and those in its log, one at a time.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::store::file::{self, PAGE_SIZE};
use crate::store::salvage::wal;

const PAGE: usize = PAGE_SIZE as usize;

/// The first pages, which hold the roots of the tables.
const ROOT_PAGES: u32 = 8;
/// Entries in a page of the pointer map, one for each page that it describes, <https://www.sqlite.org/fileformat2.html#pointer_map_or_ptrmap_pages>.
const MAP_ENTRIES: u32 = PAGE_SIZE / 5;
/// The number of the page that SQLite never uses.
const LOCK_PAGE: u32 = (1 << 30) / PAGE_SIZE + 1;

/// The bytes of a page.
pub(super) type PageBytes = [u8; PAGE];

/// Where the bytes of a page begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Location {
    File(u64),
    LogContents(u64),
}

/// Which of several images of a page to believe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Belief {
    /// The newest whose checksum is right.
    Trusted,
    /// The newest.
    Newest,
}

/// The pages of a file and its log.
#[derive(Debug)]
pub(super) struct Pages {
    file: File,
    log: Option<File>,
    count: u32,
    /// Per page its images in the log, newest first, down to the first that can be trusted.
    images: HashMap<u32, Vec<(Location, bool)>>,
    log_bytes: u64,
}

impl Pages {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let log_path = file::companion(path, "-wal");
        let read = wal::read(&log_path)?;
        let log = if read.images.is_empty() { None } else { Some(File::open(&log_path)?) };
        let mut images: HashMap<u32, Vec<(Location, bool)>> = HashMap::new();
        for image in read.images.iter().rev() {
            let known = images.entry(image.page).or_default();
            if !known.last().is_some_and(|&(_, trusted)| trusted) {
                known.push((Location::LogContents(image.at), image.trusted));
            }
        }
        // A last page that is cut off counts: what is missing reads as zeros.
        let count = u32::try_from(file.metadata()?.len().div_ceil(u64::from(PAGE_SIZE))).unwrap_or(u32::MAX);
        let log_bytes = read.images.len() as u64 * u64::from(PAGE_SIZE);
        Ok(Pages { file, log, count, images, log_bytes })
    }

    /// Every image in which there may be the beginning of a record that was not deleted long ago: newest first, so that a row
    /// that was changed is found in its last state.
    pub(super) fn locations(&self) -> Vec<Location> {
        let mut logged: Vec<Location> = self.images.values().flatten().map(|&(location, _)| location).collect();
        logged.sort_unstable_by_key(|location| match location {
            Location::File(at) | Location::LogContents(at) => std::cmp::Reverse(*at),
        });
        let covered =
            |page: u32| self.images.get(&page).is_some_and(|known| known.last().is_some_and(|&(_, trusted)| trusted));
        let filed = (1..=self.count).filter(|&page| !covered(page) && !self.is_free(page)).map(in_file);
        logged.into_iter().chain(filed).collect()
    }

    /// Whether SQLite no longer uses this page, so that what is in it was deleted. The pointer map says so in five bytes. A single
    /// wrong byte can only make a root page look free, and roots are among the first pages.
    fn is_free(&self, page: u32) -> bool {
        if page <= ROOT_PAGES {
            return false;
        }
        let mut map = 2 + (page - 2) / (MAP_ENTRIES + 1) * (MAP_ENTRIES + 1);
        if map == LOCK_PAGE {
            map += 1;
        }
        let mut entry = [0; 5];
        let at = 5 * u64::from(page.saturating_sub(map + 1));
        let read = match self.find(map, Belief::Trusted) {
            Some(Location::File(start)) => self.file.read_exact_at(&mut entry, start + at),
            Some(Location::LogContents(start)) => {
                self.log.as_ref().map_or(Ok(()), |log| log.read_exact_at(&mut entry, start + at))
            }
            None => Ok(()),
        };
        read.is_ok() && entry == [2, 0, 0, 0, 0]
    }

    /// Where page `page` is, if it exists.
    pub(super) fn find(&self, page: u32, belief: Belief) -> Option<Location> {
        if page == 0 {
            return None;
        }
        let logged = self.images.get(&page).and_then(|known| {
            let mut known = known.iter().filter(|(_, trusted)| belief == Belief::Newest || *trusted);
            known.next().map(|&(location, _)| location)
        });
        logged.or_else(|| (page <= self.count).then(|| in_file(page)))
    }

    /// Bytes in the file and its log: no record is longer.
    pub(super) fn bytes(&self) -> u64 {
        u64::from(self.count) * u64::from(PAGE_SIZE) + self.log_bytes
    }

    /// Fills `page`. What cannot be read is zero, which costs the records that are there and no others.
    pub(super) fn read(&self, location: Location, page: &mut PageBytes) {
        page.fill(0);
        let (file, at) = match (location, &self.log) {
            (Location::File(at), _) => (&self.file, at),
            (Location::LogContents(at), Some(log)) => (log, at),
            (Location::LogContents(_), None) => return,
        };
        if file.read_exact_at(page, at).is_err() {
            // A sector cannot be read, or the file ends here: read sector by sector to get the others.
            for (number, sector) in page.chunks_mut(512).enumerate() {
                if file.read_exact_at(sector, at + 512 * number as u64).is_err() {
                    sector.fill(0);
                }
            }
        }
    }
}

fn in_file(page: u32) -> Location {
    Location::File((u64::from(page) - 1) * u64::from(PAGE_SIZE))
}
