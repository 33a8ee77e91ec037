use crate::{TestEnvironment, Who, leaks, skip};

/// Runs one test as one user, then checks that nothing of it is left.
pub fn run(who: Who, test: fn(&TestEnvironment)) {
    match TestEnvironment::new(who) {
        Ok(environment) => {
            let ended = Ended(&environment);
            test(&environment);
            environment.assert_nothing_left();
            drop(ended);
        }
        Err(why) => skip(&why),
    }
}

/// A test that fails leaves nothing either.
struct Ended<'a>(&'a TestEnvironment);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            leaks::end_all(self.0.root());
        }
    }
}

/// Makes a test of each function for each way to run containers: root, a user with subordinate ids, a user without.
#[macro_export]
macro_rules! for_everyone {
    ($($name:ident),+ $(,)?) => {
        $crate::for_users!(as_root, Root, $($name),+);
        $crate::for_users!(as_subordinate, Subordinate, $($name),+);
        $crate::for_users!(as_solo, Solo, $($name),+);
    };
}

/// Makes a test of each function for the users that have a range of ids: images keep their owners.
#[macro_export]
macro_rules! for_users_with_ranges {
    ($($name:ident),+ $(,)?) => {
        $crate::for_users!(with_ranges_as_root, Root, $($name),+);
        $crate::for_users!(with_ranges_as_subordinate, Subordinate, $($name),+);
    };
}

/// Makes a test of each function for the users that are not root: what is tested is what root may do and they may not.
#[macro_export]
macro_rules! for_plain_users {
    ($($name:ident),+ $(,)?) => {
        $crate::for_users!(plain_as_subordinate, Subordinate, $($name),+);
        $crate::for_users!(plain_as_solo, Solo, $($name),+);
    };
}

/// Makes a test of each function for one plain user: what is tested has nothing to do with ids.
#[macro_export]
macro_rules! for_one_user {
    ($($name:ident),+ $(,)?) => {
        $crate::for_users!(once, Subordinate, $($name),+);
    };
}

/// Makes a test of each function that only root can set up.
#[macro_export]
macro_rules! for_root {
    ($($name:ident),+ $(,)?) => {
        $crate::for_users!(root_only, Root, $($name),+);
    };
}

/// Makes a test of each function in a module for one kind of user.
#[macro_export]
macro_rules! for_users {
    ($module:ident, $who:ident, $($name:ident),+) => {
        mod $module {
            $(
                #[test]
                fn $name() {
                    $crate::run($crate::Who::$who, super::$name);
                }
            )+
        }
    };
}
